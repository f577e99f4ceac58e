// A client of /rpc on ws, the WebSocket library that most of Node.js uses.
//
// Follows a session to its end and prints one JSON object: what it found.

import { parseArgs } from 'node:util';

import { WebSocket } from 'ws';

interface Refusal {
  code: number;
  message: string;
  data: { reason: string };
}

interface Message {
  id?: number;
  result?: unknown;
  error?: Refusal;
  params?: { subscription: string; result: { messages: any[]; closed?: { reason: string } } };
}

const { values } = parseArgs({
  options: { url: { type: 'string' }, token: { type: 'string' }, session: { type: 'string' } },
});
const url = String(values.url).replace('http:', 'ws:');
const socket = new WebSocket(url, { headers: { authorization: `Bearer ${values.token}` } });
const waiting = new Map<number, (message: Message) => void>();
const seqs: number[] = [];
let ids = 0;
let end: (reason: string) => void = () => {};
const ended = new Promise<string>((resolve) => {
  end = resolve;
});

socket.on('message', (data) => {
  const message: Message = JSON.parse(data.toString());
  if (message.id !== undefined) {
    waiting.get(message.id)?.(message);
    return;
  }
  const { messages, closed } = message.params!.result;
  for (const { event } of messages) {
    if (event !== undefined) {
      seqs.push(Number(event.seq));
    }
  }
  if (closed !== undefined) {
    end(closed.reason);
  }
});

async function call(method: string, params: object): Promise<any> {
  ids += 1;
  const id = ids;
  const answer = new Promise<Message>((resolve) => waiting.set(id, resolve));
  socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  const { result, error } = await answer;
  if (error !== undefined) {
    throw Object.assign(new Error(error.message), { reason: error.data.reason });
  }
  return result;
}

async function main(): Promise<void> {
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const sessionId = String(values.session);
  await call('events/watch', { sessionIds: [sessionId], startSeq: '1', stopAtEnd: true });
  // Calls are answered while it is watched.
  const session = await call('session/get', { sessionId });
  const refused = await call('session/get', { sessionId: 'x' }).catch((error) => error.reason);
  const closed = await ended;
  const found = { seqs, closed, refused, found: session.session.sessionId };
  process.stdout.write(`${JSON.stringify(found)}\n`);
  socket.close();
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
