import { writeFile } from 'node:fs/promises';
import { renderStatusMatrix, walkStatusMatrix } from '../test/support/status-matrix.ts';

const page = new URL('../docs/reference/status-matrix.md', import.meta.url);
await writeFile(page, renderStatusMatrix(await walkStatusMatrix()));
