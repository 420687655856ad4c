// Compiled, never run: the types of trophy.d.ts as a program uses them.

import { Client, type Ending, type Signal, TrophyError, verifyWebhook } from '../trophy.js';

interface Player {
  id: string;
  name: string;
  level: number;
}

interface Page {
  limit: number;
}

export async function use(signal: Signal, player: Player, page: Page): Promise<number> {
  await using client = new Client(null, { timeout_in_seconds: 10, queue: { path: 'queue', durability: 'power' } });
  const heard: [string, number | undefined][] = [];
  client.onDelivery(({ idempotencyKey, error }) => heard.push([idempotencyKey, error?.retryAfterMs]));
  const key: string = client.enqueue('words-written', { id: '18', attributes: { plan: 'pro' } }, 50);
  const reply = await client.event('words-written', '18', 750, { idempotencyKey: key, signal });
  const tenant: Client = client.forTenant('acme');
  await client.event('words-written', player);
  await client.identify({ id: '18', plan: 'pro' });
  await client.call('admin_metrics_list', page);
  const ending: Ending = await tenant.close();
  try {
    await tenant.call('users_streak', { id: '18', historyPeriods: 14 }, { signal });
  } catch (error) {
    if (!(error instanceof TrophyError) || error.httpStatus !== 404) throw error;
  }
  verifyWebhook(new Uint8Array(), 'signature', 'secret');

  // @ts-expect-error: not a user
  await client.event('words-written', 18);
  // @ts-expect-error: not parameters
  await client.call('users_streak', 'id');
  // @ts-expect-error: there is no such option
  new Client(null, { time_out: 1 });
  // @ts-expect-error: a user has an id
  await client.event('words-written', { name: 'Ada' });
  // @ts-expect-error: attributes are text
  client.enqueue('words-written', '18', 1, { attributes: { level: 1 } });
  // @ts-expect-error: enqueue returns at once, so there is nothing to end
  client.enqueue('words-written', '18', 1, { signal });
  return reply.total + ending.undelivered + ending.cancelled;
}
