import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/config/key.ts';
import { configReference } from '../src/config/reference.ts';

const reference = new URL('../docs/reference/', import.meta.url);
writeFileSync(new URL('config.schema.json', reference), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
writeFileSync(new URL('configuration.md', reference), configReference());
