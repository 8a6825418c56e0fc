import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Problem } from '../kernel/problem.ts';
import type { Breakable } from './body.ts';

/** A request being answered, as its connection knows it. */
export interface InFlight extends Breakable {
  readonly request: IncomingMessage;
  abort(reason: unknown): void;
}

/**
 * Which requests a connection carries now. When bytes on it turn out not to be HTTP, the request whose body they broke
 * is told, so that each attempt has one exit and one entry.
 */
export interface Connections {
  add(exchange: InFlight): void;
  remove(exchange: InFlight): void;
  /** Hands `problem` to the request whose body is incomplete; false if there is none. */
  breakBody(socket: Socket, problem: Problem): boolean;
  /** Calls back when the connection carries no request, at once if it carries none now. */
  whenIdle(socket: Socket, then: () => void): void;
}

export function createConnections(): Connections {
  const carried = new WeakMap<object, Set<InFlight>>();
  const waiting = new WeakMap<object, () => void>();
  return {
    add(exchange) {
      const { socket } = exchange.request;
      const set = carried.get(socket);
      if (set === undefined) carried.set(socket, new Set([exchange]));
      else set.add(exchange);
    },
    remove(exchange) {
      const { socket } = exchange.request;
      const set = carried.get(socket);
      set?.delete(exchange);
      if (set?.size === 0) waiting.get(socket)?.();
    },
    breakBody(socket, problem) {
      for (const exchange of carried.get(socket) ?? []) {
        if (exchange.request.complete) continue;
        exchange.broken ??= problem;
        exchange.onBroken?.(problem);
        return true;
      }
      return false;
    },
    whenIdle(socket, then) {
      if ((carried.get(socket)?.size ?? 0) === 0) then();
      else waiting.set(socket, then);
    },
  };
}
