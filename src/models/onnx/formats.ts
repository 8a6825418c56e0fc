/** What is known of a file that is no model. */
export interface FileTraits {
  /** Its first `FORMAT_HEAD_BYTES`, or all of it. */
  readonly head: Uint8Array;
  readonly length: number;
  /** Its last byte; asked for only where the head leaves a doubt. */
  readonly last: () => number | undefined;
}

/** Reaches beyond the farthest mark, that of tar at 257. */
export const FORMAT_HEAD_BYTES = 512;

/** Names the format of a file, if it is a known one that is not ONNX. */
export function recogniseFormat(file: FileTraits): string | undefined {
  if (file.length === 0) return 'an empty file';
  if (isPickle(file)) return 'a Python pickle, which can run code when it is loaded';
  if (isSafetensors(file)) return 'a safetensors file: weights without a graph';
  return signatures.find(({ magic, at = 0 }) => startsWith(file.head, magic, at))?.name;
}

interface Signature {
  readonly name: string;
  readonly magic: string;
  readonly at?: number;
}

/** `magic` in Latin-1. */
const signatures: readonly Signature[] = [
  { name: 'a ZIP archive (PyTorch, Keras or NumPy)', magic: 'PK\x03\x04' },
  { name: 'an empty ZIP archive', magic: 'PK\x05\x06' },
  { name: 'a GGUF model', magic: 'GGUF' },
  { name: 'a GGML model', magic: 'lmgg' },
  { name: 'an HDF5 file (Keras)', magic: '\x89HDF\r\n\x1a\n' },
  { name: 'a NumPy array', magic: '\x93NUMPY' },
  { name: 'a TensorFlow Lite model', magic: 'TFL3', at: 4 },
  { name: 'an onnxruntime flatbuffer (ORT format)', magic: 'ORTM', at: 4 },
  { name: 'an age file', magic: 'age-encryption.org/' },
  { name: 'a gzip stream', magic: '\x1f\x8b' },
  { name: 'a bzip2 stream', magic: 'BZh' },
  { name: 'an xz stream', magic: '\xfd7zXZ\x00' },
  { name: 'a zstd stream', magic: '\x28\xb5\x2f\xfd' },
  { name: 'an lz4 stream', magic: '\x04\x22\x4d\x18' },
  { name: 'a zlib stream', magic: '\x78\x01' },
  { name: 'a zlib stream', magic: '\x78\x5e' },
  { name: 'a zlib stream', magic: '\x78\x9c' },
  { name: 'a zlib stream', magic: '\x78\xda' },
  { name: 'a 7z archive', magic: '7z\xbc\xaf\x27\x1c' },
  { name: 'a RAR archive', magic: 'Rar!\x1a\x07' },
  { name: 'a tar archive', magic: 'ustar', at: 257 },
  { name: 'an ELF program', magic: '\x7fELF' },
  { name: 'a Windows program', magic: 'MZ' },
  { name: 'a Mach-O program', magic: '\xcf\xfa\xed\xfe' },
  { name: 'a Mach-O program', magic: '\xca\xfe\xba\xbe' },
  { name: 'a script', magic: '#!' },
  { name: 'a PDF document', magic: '%PDF' },
  { name: 'a SQLite database', magic: 'SQLite format 3\x00' },
  { name: 'a CatBoost model', magic: 'CBM1' },
  { name: 'a LightGBM text model', magic: 'tree\n' },
  { name: 'a Git LFS pointer, not the file itself', magic: 'version https://git-lfs' },
  { name: 'an XML or HTML document', magic: '<' },
  { name: 'a JSON document', magic: '{' },
];

/** Protocol 2 to 5 opens with PROTO; older ones are text and end with STOP. */
function isPickle({ head, last }: FileTraits): boolean {
  if (head[0] === 0x80 && head[1] !== undefined && head[1] <= 5) return true;
  const text = Buffer.from(head.subarray(0, 256)).toString('latin1');
  return /^(?:[(\]})lcdI]{1,3}|c)[a-zA-Z_][\w.]*\n/.test(text) && last() === 0x2e;
}

/** Eight bytes of header length, then the header in JSON. */
function isSafetensors({ head, length }: FileTraits): boolean {
  if (length < 10 || head[8] !== 0x7b) return false;
  const header = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return header >= 2n && header <= BigInt(length - 8);
}

function startsWith(bytes: Uint8Array, magic: string, at: number): boolean {
  return Buffer.from(bytes.subarray(at, at + magic.length)).toString('latin1') === magic;
}
