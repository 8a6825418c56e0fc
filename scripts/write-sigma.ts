import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderDetectionsReference } from '../src/audit/detect/reference.ts';
import { defaultRules } from '../src/audit/detect/rules-file.ts';
import { sigmaFileOf, sigmaOf } from '../src/audit/detect/sigma.ts';

const docs = join(import.meta.dirname, '..', 'docs');
await mkdir(join(docs, 'sigma'), { recursive: true });
for (const rule of defaultRules()) await writeFile(join(docs, 'sigma', sigmaFileOf(rule)), sigmaOf(rule));
await writeFile(join(docs, 'reference', 'detections.md'), renderDetectionsReference());
