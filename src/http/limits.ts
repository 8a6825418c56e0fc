/** What a client may cost before it is refused. Times in milliseconds, sizes in bytes. */
export interface HttpLimits {
  /** A JSON body. */
  readonly bodyBytesMax: number;
  /** A streamed body whose route does not say. */
  readonly streamBytesMax: number;
  /** Request line and headers together. */
  readonly headerBytesMax: number;
  readonly headerCountMax: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersMs: number;
  /** The whole of a JSON body. */
  readonly bodyMs: number;
  /** Between two chunks of a streamed body. */
  readonly streamIdleMs: number;
  /** After it, a handler's signal is aborted. */
  readonly handleMs: number;
  readonly keepAliveMs: number;
  /** Open connections per listener; more are dropped when they connect. */
  readonly connectionsMax: number;
  /** One segment of a path, decoded. */
  readonly paramCharsMax: number;
  readonly jsonDepthMax: number;
}

export const DEFAULT_LIMITS: HttpLimits = {
  bodyBytesMax: 1024 ** 2,
  streamBytesMax: 4 * 1024 ** 3,
  headerBytesMax: 16 * 1024,
  headerCountMax: 100,
  headersMs: 10_000,
  bodyMs: 30_000,
  streamIdleMs: 30_000,
  handleMs: 60_000,
  keepAliveMs: 5_000,
  connectionsMax: 4096,
  paramCharsMax: 256,
  jsonDepthMax: 64,
};
