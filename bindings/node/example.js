// Sends an event, enqueues another, and reads the streak that they made.
// Needs TROPHY_API_KEY; with the sandbox also TROPHY_BASE_URL and TROPHY_ADMIN_BASE_URL.

import { Client, TrophyError } from 'libtrophy';

const client = new Client(null, { timeout_in_seconds: 10 });
try {
  client.onDelivery(({ idempotencyKey, error }) => console.log(error ? 'refused' : 'delivered', idempotencyKey));

  const reply = await client.event('words-written', { id: '18', name: 'Ada' }, 750, { idempotencyKey: 'chapter-1' });
  console.log('total', reply.total, reply.achievements.map(({ name }) => name));

  client.enqueue('chapters-read', '18', 1, { idempotencyKey: 'chapter-1' });
  console.log('undelivered', await client.flush(10_000));

  const { length } = await client.streak('18');
  console.log('streak', length);
} catch (error) {
  if (!(error instanceof TrophyError)) throw error;
  console.error(`${error.message} (${error.code})`);
  process.exitCode = 1;
} finally {
  await client.close();
}
