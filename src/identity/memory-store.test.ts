import { createMemoryStore } from './memory-store.ts';
import { identityStoreContract } from './store.contract.ts';

identityStoreContract('the store in memory', async () => createMemoryStore());
