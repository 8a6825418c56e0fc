/** What was thrown, as a log line takes it. A value that is no Error may hold anything, so only its type is told. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(typeof thrown);
}
