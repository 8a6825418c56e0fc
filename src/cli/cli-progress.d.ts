/** The part of cli-progress that is used; the package carries no types. */
declare module 'cli-progress' {
  export class SingleBar {
    constructor(options: {
      readonly stream: NodeJS.WritableStream;
      readonly format: string;
      readonly clearOnComplete?: boolean;
      readonly hideCursor?: boolean;
    });
    start(total: number, startValue: number, payload?: Readonly<Record<string, string>>): void;
    update(value: number, payload?: Readonly<Record<string, string>>): void;
    stop(): void;
  }
  const cliProgress: { readonly SingleBar: typeof SingleBar };
  export default cliProgress;
}
