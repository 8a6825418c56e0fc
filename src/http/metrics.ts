import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What the transport counts. Labels hold route templates only: a raw path would let a client create series. */
export interface HttpMetrics {
  started(): void;
  finished(
    attempt: { readonly method: string; readonly route: string },
    status: number,
    seconds: number,
  ): void;
  /** A connection beyond `connectionsMax` was dropped. */
  dropped(): void;
}

/** Registers `modelkeep_http_requests_total`, `_request_seconds`, `_requests_in_flight`, `_connections_dropped_total`. */
export function createHttpMetrics(registry: Registry): HttpMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'modelkeep_http_requests_total',
    help: 'Requests answered, by method, route template and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'modelkeep_http_request_seconds',
    help: 'Time from the end of the headers to the answer, by route template.',
    labelNames: ['route'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  const inFlight = new Gauge({
    name: 'modelkeep_http_requests_in_flight',
    help: 'Requests that have not been answered yet.',
    registers,
  });
  const dropped = new Counter({
    name: 'modelkeep_http_connections_dropped_total',
    help: 'Connections dropped because the listener had as many as it may.',
    registers,
  });
  return {
    started: () => inFlight.inc(),
    finished({ method, route }, status, elapsed) {
      inFlight.dec();
      requests.inc({ method: METHODS.has(method) ? method : 'other', route, status });
      seconds.observe({ route }, elapsed);
    },
    dropped: () => dropped.inc(),
  };
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
