import type { Cast } from './cast.ts';

/** How this program is called from the directory where it was installed, or from its checkout, which runs `.ts` files. */
export function commandWords(moduleUrl: string): string {
  return moduleUrl.endsWith('.ts') ? 'npm run -s modelkeep --' : 'npx modelkeep';
}

/** Commands that show the demo keep from another terminal, each of them whole: what it does, and what to paste. */
export function pasteableCommands(options: {
  readonly base: string;
  readonly home: string;
  readonly cast: Pick<Cast, 'ada' | 'checkout'>;
  /** As `commandWords` tells. */
  readonly command: string;
}): readonly (readonly [about: string, command: string])[] {
  const { base, home, cast, command } = options;
  const person = quote(`${cast.ada.name}:${cast.ada.password.reveal()}`);
  const workload = quote(`authorization: Bearer ${cast.checkout.key.reveal()}`);
  const json = "-H 'content-type: application/json'";
  return [
    ['a prediction, by password', `curl -u ${person} ${base}/predict ${json} -d '{"value": 3}'`],
    ['what a model takes, by API key', `curl -H ${workload} ${base}/v2/models/iris`],
    ['what the log says of all this', `${command} --home ${quote(home)} audit search`],
  ];
}

/** For a POSIX shell. */
function quote(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
