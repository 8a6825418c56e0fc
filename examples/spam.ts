import type { Mail } from './mails.ts';
import { isReadable, loadMails } from './mails.ts';
import { groupNearDuplicates } from './near-duplicates.ts';
import { elementTypes, floats, graph, int64s, model, node, value } from './onnx-writer.ts';
import { createRandom, shuffled } from './random.ts';

/** Logistic regression on which words of a vocabulary stand in the mail. */
export interface SpamModel {
  readonly words: readonly string[];
  readonly weights: Float64Array;
  readonly bias: number;
}

export interface SpamTraining {
  readonly onnx: Uint8Array;
  readonly model: SpamModel;
  readonly train: readonly Mail[];
  /** Mails that no mail in `train` is nearly the same as. */
  readonly heldOut: readonly Mail[];
}

const SEED = 20_020_822;
const WORDS = 5000;
const HELD_OUT_SHARE = 0.2;

/** Trains on four fifths of the mails; the same bytes every time. */
export function trainSpam(): SpamTraining {
  const { train, heldOut } = splitMails(loadMails().filter(isReadable));
  const tokens = train.map(({ text }) => [...new Set(tokenise(text))]);
  const words = chooseWords(train, tokens);
  const fitted = fit(train, tokens, words);
  return { onnx: toOnnx(fitted), model: fitted, train, heldOut };
}

/** As the ONNX graph does it: ASCII letters in lower case, split at spaces, then at up to seven line breaks. */
export function tokenise(text: string): string[] {
  return text
    .replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
    .split(' ')
    .flatMap((token) => splitLines(token))
    .filter((token) => token !== '');
}

/** Probability that the mail is spam. */
export function predictSpam({ words, weights, bias }: SpamModel, text: string): number {
  const present = new Set(tokenise(text));
  let sum = 0;
  let count = 0;
  words.forEach((word, index) => {
    if (!present.has(word)) return;
    sum += weights[index] as number;
    count++;
  });
  return sigmoid(bias + (count === 0 ? 0 : sum / Math.sqrt(count)));
}

const LINE_SPLITS = 7;

function splitLines(token: string): string[] {
  const lines = token.split('\n');
  return [...lines.slice(0, LINE_SPLITS), lines.slice(LINE_SPLITS).join('\n')];
}

function splitMails(mails: readonly Mail[]): { train: Mail[]; heldOut: Mail[] } {
  const groups = groupNearDuplicates(mails.map(({ text }) => text));
  const order = shuffled([...new Set(groups)], createRandom(SEED));
  const heldOutGroups = new Set(order.slice(0, Math.round(order.length * HELD_OUT_SHARE)));
  // One mail of each group: fifty copies would count fifty times.
  const oneOfEach = new Map(groups.map((group, index) => [group, mails[index] as Mail]));
  const chosen = (heldOut: boolean): Mail[] =>
    [...oneOfEach].filter(([group]) => heldOutGroups.has(group) === heldOut).map(([, mail]) => mail);
  return { train: chosen(false), heldOut: chosen(true) };
}

/** ASCII without digits, `/` and `@`: addresses, links and numbers are of this corpus, and of persons. */
const WORD = /^[!-.:-?A-~]{1,24}$/;

/** The words that tell most: by the chi-square of word and label, ties in the order of the alphabet. */
function chooseWords(mails: readonly Mail[], tokens: readonly string[][]): string[] {
  const counts = new Map<string, { spam: number; ham: number }>();
  mails.forEach(({ spam }, index) => {
    for (const token of tokens[index] ?? []) {
      if (!WORD.test(token)) continue;
      const count = counts.get(token) ?? { spam: 0, ham: 0 };
      count[spam ? 'spam' : 'ham']++;
      counts.set(token, count);
    }
  });
  const spams = mails.filter(({ spam }) => spam).length;
  const hams = mails.length - spams;
  return [...counts]
    .filter(([, { spam, ham }]) => spam + ham >= 5)
    .map(([word, { spam, ham }]) => {
      const difference = spam * (hams - ham) - ham * (spams - spam);
      return { word, score: difference ** 2 / ((spam + ham) * (mails.length - spam - ham)) };
    })
    .toSorted((one, other) => other.score - one.score || (one.word < other.word ? -1 : 1))
    .slice(0, WORDS)
    .map(({ word }) => word);
}

const EPOCHS = 20;
const RATE = 0.5;
const DECAY = 3e-4;

/** Adagrad over single mails, in an order shuffled anew for each epoch. */
function fit(mails: readonly Mail[], tokens: readonly string[][], words: readonly string[]): SpamModel {
  const numbers = new Map(words.map((word, index) => [word, index]));
  const features = tokens.map((own) => own.flatMap((token) => numbers.get(token) ?? []));
  const weights = new Float64Array(words.length);
  const squares = new Float64Array(words.length).fill(1e-2);
  const random = createRandom(SEED);
  const all = mails.map((_, index) => index);
  // Held at the share of spam: a short text without a known word is then what most mail is.
  const spams = mails.filter(({ spam }) => spam).length;
  const bias = Math.log(spams / (mails.length - spams));
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const index of shuffled(all, random)) {
      const own = features[index] as number[];
      const scale = own.length === 0 ? 0 : 1 / Math.sqrt(own.length);
      let sum = bias;
      for (const feature of own) sum += (weights[feature] as number) * scale;
      const error = sigmoid(sum) - (mails[index]?.spam === true ? 1 : 0);
      for (const feature of own) {
        const gradient = error * scale + DECAY * (weights[feature] as number);
        const square = (squares[feature] as number) + gradient * gradient;
        squares[feature] = square;
        weights[feature] = (weights[feature] as number) - (RATE * gradient) / Math.sqrt(square);
      }
    }
  }
  return { words, weights, bias };
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

function toOnnx({ words, weights, bias }: SpamModel): Uint8Array {
  const { FLOAT, INT64, STRING } = elementTypes;
  return model({
    opsets: { '': 20, 'ai.onnx.ml': 3 },
    metadata: { name: 'spam', license: 'Apache-2.0' },
    graph: graph({
      name: 'spam',
      inputs: [value('text', STRING, ['N'])],
      outputs: [value('label', STRING, ['N']), value('probability', FLOAT, ['N'])],
      initializers: [
        floats('weights', [words.length, 1], weights),
        floats('bias', [1], [bias]),
        floats('none', [], [0]),
        floats('once', [], [1]),
        floats('half', [], [0.5]),
        int64s('last', [1], [1]),
      ],
      nodes: [
        node('StringNormalizer', {
          inputs: ['text'],
          outputs: ['lower'],
          attributes: { case_change_action: { string: 'LOWER' }, locale: { string: 'C' } },
        }),
        // onnxruntime splits at spaces alone here. A bounded second split keeps memory in proportion to the text.
        node('StringSplit', { inputs: ['lower'], outputs: ['spaced', 'spaced_counts'] }),
        node('StringSplit', {
          inputs: ['spaced'],
          outputs: ['lines', 'line_counts'],
          attributes: { delimiter: { string: '\n' }, maxsplit: { int: LINE_SPLITS } },
        }),
        node('Flatten', { inputs: ['lines'], outputs: ['tokens'], attributes: { axis: { int: 1 } } }),
        node('TfIdfVectorizer', {
          inputs: ['tokens'],
          outputs: ['counts'],
          attributes: {
            mode: { string: 'TF' },
            min_gram_length: { int: 1 },
            max_gram_length: { int: 1 },
            max_skip_count: { int: 0 },
            ngram_counts: { ints: [0] },
            ngram_indexes: { ints: words.map((_, index) => index) },
            pool_strings: { strings: words },
          },
        }),
        node('Clip', { inputs: ['counts', 'none', 'once'], outputs: ['present'] }),
        node('LpNormalization', {
          inputs: ['present'],
          outputs: ['features'],
          attributes: { axis: { int: 1 }, p: { int: 2 } },
        }),
        node('Gemm', { inputs: ['features', 'weights', 'bias'], outputs: ['score'] }),
        node('Sigmoid', { inputs: ['score'], outputs: ['column'] }),
        node('Squeeze', { inputs: ['column', 'last'], outputs: ['probability'] }),
        node('Greater', { inputs: ['probability', 'half'], outputs: ['above'] }),
        node('Cast', { inputs: ['above'], outputs: ['class'], attributes: { to: { int: INT64 } } }),
        node('LabelEncoder', {
          inputs: ['class'],
          outputs: ['label'],
          domain: 'ai.onnx.ml',
          attributes: {
            keys_int64s: { ints: [0, 1] },
            values_strings: { strings: ['ham', 'spam'] },
            default_string: { string: 'ham' },
          },
        }),
      ],
    }),
  });
}
