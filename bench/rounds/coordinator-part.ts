/** The coordinator in a process of its own; and what it is held against: a server that only takes and gives bytes. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { loadIdentity, type IdentityFiles } from '@foedus/connector/identity';
import { coordinatorConfigSchema, startCoordinator } from '@foedus/fl-coordinator';
import { pino } from 'pino';
import { answerQuestions } from './part.ts';
import { memoryBandwidth, processMemory, resetPeak } from './process-memory.ts';

const stack = new AsyncDisposableStack();

answerQuestions(
  {
    async start(config: object) {
      const parsed = coordinatorConfigSchema.parse(config);
      const running = stack.use(await startCoordinator(parsed, { logger: pino({ level: 'silent' }) }));
      return { operatorUrl: running.operatorUrl };
    },
    /**
     * The memory of this process at rest; its highest mark begins anew. Without a forced collection: that shrinks the
     * engine's young generation, which takes up to 50 MB again at the next requests, whatever they are.
     */
    settleMemory() {
      resetPeak();
      return processMemory();
    },
    memory: processMemory,
    bandwidth: memoryBandwidth,
    async serveBytes({ participantId, files, bytes }: { participantId: string; files: IdentityFiles; bytes: number }) {
      const { tls } = await loadIdentity(participantId, files);
      const model = Buffer.alloc(bytes, 1);
      const server = createServer({ ...tls, minVersion: 'TLSv1.3', requestCert: true }, (request, response) => {
        request.resume();
        request.on('end', () => response.end(request.method === 'GET' ? model : ''));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      stack.defer(() => {
        server.closeAllConnections();
        server.close();
      });
      return { url: `https://localhost:${(server.address() as AddressInfo).port}/` };
    },
  },
  () => stack.disposeAsync(),
);
