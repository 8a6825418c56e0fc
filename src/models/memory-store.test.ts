import { createMemoryStore } from './memory-store.ts';
import { modelStoreContract } from './store.contract.ts';

modelStoreContract('the model store in memory', async () => createMemoryStore());
