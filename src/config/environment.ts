export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process, as it was at start. The only reader of `process.env`. */
export function readEnvironment(): Environment {
  return Object.freeze({ ...process.env });
}
