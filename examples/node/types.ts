// Compiled, never run: the types of trophy.d.ts as a program uses them.

import { Client, TrophyError, verifyWebhook } from './trophy.js';

export async function use(signal: AbortSignal): Promise<number> {
  await using client = new Client(null, { timeout_in_seconds: 10, queue: { path: 'queue', durability: 'power' } });
  client.onDelivery(({ idempotencyKey, error }) => console.log(idempotencyKey.length, error?.retryAfterMs));
  const key: string = client.enqueue('words-written', { id: '18', attributes: { plan: 'pro' } }, 50);
  const reply = await client.event('words-written', '18', 750, { idempotencyKey: key, signal });
  const tenant: Client = client.forTenant('acme');
  try {
    await tenant.call('users_streak', { id: '18', historyPeriods: 14 }, { signal });
  } catch (error) {
    if (!(error instanceof TrophyError) || error.httpStatus !== 404) throw error;
  }
  verifyWebhook(new Uint8Array(), 'signature', 'secret');

  // @ts-expect-error: there is no such option
  new Client(null, { time_out: 1 });
  // @ts-expect-error: a user has an id
  await client.event('words-written', { name: 'Ada' });
  // @ts-expect-error: attributes are text
  client.enqueue('words-written', '18', 1, { attributes: { level: 1 } });
  // @ts-expect-error: enqueue returns at once, so there is nothing to end
  client.enqueue('words-written', '18', 1, { signal });
  return reply.total;
}
