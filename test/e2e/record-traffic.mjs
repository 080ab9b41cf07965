// Preloaded into a process (`node --import`): appends every byte that arrives over TLS, after decryption, to the file
// that FOEDUS_TEST_TRAFFIC names. Nothing of the program itself is changed or replaced.
import { appendFileSync } from 'node:fs';
import tls from 'node:tls';

const file = process.env['FOEDUS_TEST_TRAFFIC'];
if (file !== undefined) {
  const push = Reflect.get(tls.TLSSocket.prototype, 'push');
  tls.TLSSocket.prototype.push = function recordAndPush(chunk, ...rest) {
    if (chunk !== null && chunk !== undefined) appendFileSync(file, chunk);
    return push.call(this, chunk, ...rest);
  };
  // The HTTP parser would otherwise read from the handle itself, past `push`.
  const emit = Reflect.get(tls.Server.prototype, 'emit');
  tls.Server.prototype.emit = function emitReadable(event, socket, ...rest) {
    if (event === 'secureConnection' && socket._handle) socket._handle._consumed = true;
    return emit.call(this, event, socket, ...rest);
  };
}
