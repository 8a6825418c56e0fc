import { isMap, isScalar, LineCounter, parseDocument, type YAMLMap } from 'yaml';

/** A value that was set in the file, by the dotted name of its key. */
export interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly line: number;
}

/**
 * The settings of a YAML text, one for each key whose value is not a mapping. Throws a SyntaxError with every complaint and its
 * line. Duplicate keys, anchors that are expanded, and tags of other schemas are complaints.
 */
export function parseConfigFile(text: string): Setting[] {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    schema: 'core',
    merge: false,
    prettyErrors: false,
  });
  const complaints = [...document.errors, ...document.warnings];
  if (complaints.length > 0) {
    throw new SyntaxError(
      complaints
        .map(({ code, pos }) => `line ${lines.linePos(pos[0]).line}: ${code.toLowerCase()}`)
        .join('; '),
    );
  }
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return [];
  if (!isMap(contents)) throw new SyntaxError('line 1: expected a mapping of keys to values');
  return settingsOf(contents, []);

  function settingsOf(map: YAMLMap, path: readonly string[]): Setting[] {
    return map.items.flatMap(({ key, value }) => {
      const start = isScalar(key) ? key.range?.[0] : undefined;
      const line = start === undefined ? 1 : lines.linePos(start).line;
      const here = [...path, isScalar(key) ? String(key.value) : '?'];
      if (isMap(value) && value.items.length > 0) return settingsOf(value, here);
      // Aliases stay unexpanded: a small file must not grow into a large one.
      const plain = document.createNode(value).toJS(document, { maxAliasCount: 0 }) as unknown;
      return { name: here.join('.'), value: plain, line };
    });
  }
}
