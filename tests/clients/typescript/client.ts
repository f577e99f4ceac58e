// A Switchboard client on stock grpc-js, with the library's own limits.
//
// Prints one JSON object a line, for the tests to read. The types are those
// that `tests/run` generates from proto/; the messages are read from proto/ at
// run time, as is usual with @grpc/proto-loader.

import { createHash } from 'node:crypto';
import * as path from 'node:path';
import { parseArgs } from 'node:util';

import * as grpc from '@grpc/grpc-js';
import * as protoLoader from '@grpc/proto-loader';
import * as protobuf from 'protobufjs';

import type { ProtoGrpcType as EventProto } from '../../generated/typescript/types/event';
import type { ProtoGrpcType as SessionProto } from '../../generated/typescript/types/session';
import type { Event__Output } from '../../generated/typescript/types/switchboard/v1/Event';
import type { EventServiceClient } from '../../generated/typescript/types/switchboard/v1/EventService';
import type { SessionServiceClient } from '../../generated/typescript/types/switchboard/v1/SessionService';
import type { WatchEventsResponse__Output } from '../../generated/typescript/types/switchboard/v1/WatchEventsResponse';

// The compiled program lies in tests/generated/typescript/build/clients/typescript.
const PROTO = path.resolve(__dirname, '../../../../../../proto');

// What google.rpc says about errors; npm has no maintained package of it alone.
const RPC = protobuf.parse(
  `
    syntax = "proto3";
    package google.rpc;
    message Any { string type_url = 1; bytes value = 2; }
    message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
    message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  `,
  { keepCase: true },
).root;

interface Options {
  target: string;
  token?: string;
  timeout: number;
  session: string;
  cwd: string;
  agent: string;
  model: string;
  prompt: string;
  start: number;
  stopAfter?: number;
  untilEnd: boolean;
  maxEventBytes: number;
  noReconnect: boolean;
  pageSize: number;
  turn: number;
  offset: number;
  length: number;
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** What a program can tell from a failed call. */
function describe(failed: grpc.ServiceError): object {
  const line = { code: grpc.status[failed.code], message: failed.details };
  const [encoded] = failed.metadata.get('grpc-status-details-bin');
  if (!(encoded instanceof Buffer)) {
    return line;
  }
  const status = RPC.lookupType('google.rpc.Status').decode(encoded);
  const details = status.toJSON().details ?? [];
  const found = details.find((any: any) => any.type_url.endsWith('/google.rpc.ErrorInfo'));
  if (found === undefined) {
    return line;
  }
  const info = RPC.lookupType('google.rpc.ErrorInfo').decode(Buffer.from(found.value, 'base64'));
  const { reason = '', domain = '', metadata = {} } = info.toJSON();
  return { ...line, reason, domain, metadata };
}

/** The services at one address, called with the token and the deadline of the options. */
class Client {
  readonly sessions: SessionServiceClient;
  readonly events: EventServiceClient;
  readonly metadata = new grpc.Metadata();

  constructor(readonly options: Options) {
    const definition = protoLoader.loadSync(
      ['switchboard/v1/session.proto', 'switchboard/v1/event.proto'],
      { includeDirs: [PROTO], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true },
    );
    const proto = grpc.loadPackageDefinition(definition) as unknown as SessionProto & EventProto;
    const channel: grpc.ChannelOptions = {
      // A server that is being restarted is looked for every 50 ms at first.
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1000,
    };
    if (options.target.startsWith('unix:')) {
      channel['grpc.default_authority'] = 'localhost';
    }
    const credentials = grpc.credentials.createInsecure();
    const { SessionService, EventService } = proto.switchboard.v1;
    this.sessions = new SessionService(options.target, credentials, channel);
    this.events = new EventService(options.target, credentials, channel);
    if (options.token !== undefined) {
      this.metadata.set('authorization', `Bearer ${options.token}`);
    }
  }

  call(): grpc.CallOptions {
    return { deadline: Date.now() + this.options.timeout * 1000 };
  }

  close(): void {
    this.sessions.close();
    this.events.close();
  }
}

/** Makes a call with one answer a promise. */
function answer<Response>(
  call: (callback: (error: grpc.ServiceError | null, response?: Response) => void) => unknown,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response as Response) : reject(error)));
  });
}

async function create(client: Client, options: Options): Promise<void> {
  const session = {
    agent: options.agent,
    working_directory: options.cwd,
    model: options.model,
  };
  const request = { session, prompt: options.prompt };
  const response = await answer<{ session: object | null }>((callback) =>
    client.sessions.createSession(request, client.metadata, client.call(), callback),
  );
  say(response.session ?? {});
}

async function get(client: Client, options: Options): Promise<void> {
  const request = { session_id: options.session };
  const response = await answer<{ session: object | null }>((callback) =>
    client.sessions.getSession(request, client.metadata, client.call(), callback),
  );
  say(response.session ?? {});
}

async function list(client: Client, options: Options): Promise<void> {
  let token = '';
  do {
    const request = { page_size: options.pageSize, page_token: token };
    const page = await answer<{ sessions: object[]; next_page_token: string }>((callback) =>
      client.sessions.listSessions(request, client.metadata, client.call(), callback),
    );
    page.sessions.forEach(say);
    token = page.next_page_token;
  } while (token !== '');
}

function sayEvent(event: Event__Output): void {
  say({
    seq: event.seq,
    kind: event.kind,
    raw_len: event.raw.length,
    raw_sha256: createHash('sha256').update(event.raw).digest('hex'),
    elided: event.elided,
  });
}

/** Follows one session, also across lost connections, from the event after the last one. */
async function watch(client: Client, options: Options): Promise<void> {
  client.metadata.setOptions({ waitForReady: true });
  let start = options.start;
  let count = 0;
  for (;;) {
    const request = {
      session_ids: [options.session],
      start_seq: start,
      stop_at_end: options.untilEnd,
      max_event_bytes: options.maxEventBytes,
    };
    const stream = client.events.watchEvents(request, client.metadata, client.call());
    try {
      for await (const response of stream as AsyncIterable<WatchEventsResponse__Output>) {
        if (response.synced) {
          if (!response.synced.session_id) {
            say({ synced: true });
          }
        } else if (response.event) {
          sayEvent(response.event);
          start = response.event.seq + 1;
          count += 1;
          if (count === options.stopAfter) {
            stream.cancel();
            return;
          }
        }
      }
      return;
    } catch (error) {
      const failed = error as grpc.ServiceError;
      if (options.noReconnect || failed.code !== grpc.status.UNAVAILABLE) {
        throw error;
      }
      say({ reconnect: describe(failed), start_seq: start });
    }
  }
}

async function readOutput(client: Client, options: Options): Promise<void> {
  const request = {
    session_id: options.session,
    turn: options.turn,
    offset: options.offset,
    length: options.length,
  };
  const digest = createHash('sha256');
  let [size, chunks, totalSize] = [0, 0, 0];
  for await (const chunk of client.sessions.readOutput(request, client.metadata, client.call())) {
    digest.update(chunk.data);
    size += chunk.data.length;
    chunks += 1;
    totalSize = chunk.total_size;
  }
  say({ len: size, sha256: digest.digest('hex'), chunks, total_size: totalSize });
}

/** Makes one call with and one without a stream, which are expected to fail. */
async function errors(client: Client, options: Options): Promise<void> {
  const calls = {
    GetSession: () =>
      answer((callback) =>
        client.sessions.getSession(
          { session_id: options.session },
          client.metadata,
          client.call(),
          callback,
        ),
      ),
    WatchEvents: () =>
      client.events
        .watchEvents(
          { session_ids: [options.session], start_seq: options.start, stop_at_end: true },
          client.metadata,
          client.call(),
        )
        .toArray(),
  };
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call();
      say({ call: name, code: 'OK' });
    } catch (error) {
      say({ call: name, ...describe(error as grpc.ServiceError) });
    }
  }
}

const COMMANDS = { create, get, list, watch, 'read-output': readOutput, errors };

function parse(): [keyof typeof COMMANDS, Options] {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      target: text,
      token: text,
      timeout: { type: 'string', default: '300' },
      session: { type: 'string', default: '' },
      cwd: { type: 'string', default: '' },
      agent: { type: 'string', default: '' },
      model: { type: 'string', default: '' },
      prompt: { type: 'string', default: '' },
      start: { type: 'string', default: '1' },
      'stop-after': text,
      'until-end': flag,
      'max-event-bytes': { type: 'string', default: '0' },
      'no-reconnect': flag,
      'page-size': { type: 'string', default: '0' },
      turn: { type: 'string', default: '0' },
      offset: { type: 'string', default: '0' },
      length: { type: 'string', default: '0' },
    },
  });
  const [command] = positionals;
  if (values.target === undefined || !(command in COMMANDS)) {
    throw new Error(`give --target and one of ${Object.keys(COMMANDS).join(', ')}`);
  }
  const options = {
    ...values,
    target: values.target,
    timeout: Number(values.timeout),
    start: Number(values.start),
    stopAfter: values['stop-after'] === undefined ? undefined : Number(values['stop-after']),
    untilEnd: values['until-end'],
    maxEventBytes: Number(values['max-event-bytes']),
    noReconnect: values['no-reconnect'],
    pageSize: Number(values['page-size']),
    turn: Number(values.turn),
    offset: Number(values.offset),
    length: Number(values.length),
  };
  return [command as keyof typeof COMMANDS, options];
}

async function main(): Promise<void> {
  const [command, options] = parse();
  const client = new Client(options);
  try {
    await COMMANDS[command](client, options);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'metadata' in error)) {
      throw error;
    }
    say({ error: describe(error as grpc.ServiceError) });
    process.exitCode = 1;
  } finally {
    client.close();
  }
}

void main();
