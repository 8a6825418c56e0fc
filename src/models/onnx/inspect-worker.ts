import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { ByteSource } from './file-window.ts';
import { inspectOnnx } from './inspect.ts';
import type { InspectionJob, InspectionMessage } from './inspector.ts';

/** The inspecting thread: it asks for bytes, sleeps until they come, and ends with one judgement. */
if (parentPort !== null) {
  const port = parentPort;
  const { length, bell } = workerData as InspectionJob;
  const rung = new Int32Array(bell);
  const tell = (message: InspectionMessage): void => port.postMessage(message, []);

  const source: ByteSource = {
    length,
    read(offset) {
      Atomics.store(rung, 0, 0);
      tell({ kind: 'read', offset });
      Atomics.wait(rung, 0, 0);
      return receiveMessageOnPort(port)?.message as Uint8Array;
    },
  };
  const inspection = inspectOnnx(source);
  const { verdict, findings } = inspection;
  // The facts of a large graph are large as well; what nobody asks for stays here.
  if (verdict === 'block') tell({ kind: 'judged', judgement: { verdict, findings } });
  else tell({ kind: 'judged', judgement: { verdict, findings, signature: inspection.facts.signature } });
}
