// Compiled, never run: an AbortSignal as the DOM and Node declare it.

import { Client } from '../trophy.js';

export function use(client: Client, signal: AbortSignal): Promise<unknown> {
  return client.event('words-written', '18', 1, { signal });
}
