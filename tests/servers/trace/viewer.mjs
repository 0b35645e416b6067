// viewer.mjs FILE.json... -- does a trace load in a real viewer?
//
// Gives each file to Perfetto's own importer, the one behind ui.perfetto.dev,
// and prints a line of JSON: what the viewer made of it. Exits 1 when a file
// does not load. What the viewer loads but dislikes is in "errors".
//
// Before: python3 tests/lib/viewer.py

import { readFileSync } from 'node:fs';

const PERFETTO = new URL('../../../build/viewer/', import.meta.url);

const PIECE = 16 * 1024 * 1024;

// The decoder of answers warns of a field that is newer than itself.
console.warn = () => {};

const { EngineBase } = await import(new URL('engine.mjs', PERFETTO));
const wasm = readFileSync(new URL('trace_processor.wasm', PERFETTO));

// Newer nodes can do 64 bits, but only the 32-bit wasm is in the package.
const PROBE = 'this.useMemory64 = hasMemory64Support();';
const glue = readFileSync(new URL('engine_bundle.node.js', PERFETTO), 'utf8');
if (!glue.includes(PROBE)) {
    throw new Error('viewer: this is another version of Perfetto');
}
const startWorker = new Function(
    'self', 'WorkerGlobalScope', 'XMLHttpRequest', 'console',
    glue.replace(PROBE, 'this.useMemory64 = false;'));

// What a browser's worker would use to fetch the wasm.
class FileRequest {
    open() {}
    send() { this.response = wasm; }
}

class Engine extends EngineBase {
    id = 'viewer';
    mode = 'WASM';
    rpcSendRequestBytes(bytes) { this.port.onmessage({ data: bytes }); }
}

// A new one for each file: it cannot forget what it has loaded.
async function startEngine() {
    const worker = { location: { href: '' } };
    const silent = { log() {}, warn() {}, error() {} };
    startWorker(worker, class {}, FileRequest, silent);
    const engine = new Engine();
    engine.port = {
        postMessage: (bytes) => engine.onRpcResponseBytes(bytes),
    };
    worker.onmessage({ data: engine.port });
    // The worker finishes its start in a promise.
    await new Promise((resolve) => setImmediate(resolve));
    return engine;
}

async function query(engine, sql) {
    const result = await engine.query(sql);
    if (result.error()) {
        throw new Error(result.error());
    }
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) {
        rows.push(result.columns().map((column) => {
            const value = row.get(column);
            return typeof value === 'bigint' ? Number(value) : value;
        }));
    }
    return rows;
}

// Perfetto forgives a lost comma and bytes that are not UTF-8. The viewers of
// Chrome do not: they use this parser.
function countPhases(bytes) {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const phases = {};
    for (const { ph } of JSON.parse(text).traceEvents) {
        phases[ph] = (phases[ph] ?? 0) + 1;
    }
    return phases;
}

async function load(file, seen) {
    const bytes = readFileSync(file);
    const engine = await startEngine();
    // In pieces, as the viewer does: it takes no message above 64 MiB.
    for (let at = 0; at < bytes.length; at += PIECE) {
        await engine.parse(new Uint8Array(bytes.subarray(at, at + PIECE)));
    }
    await engine.notifyEof();

    // It takes an empty file for a trace without a format.
    const [type] = await query(engine,
        "select str_value from metadata where name = 'trace_type'");
    if (type?.[0] !== 'json') {
        throw new Error(`not taken for a JSON trace but for ${type?.[0]}`);
    }

    for (const [name, value, description] of await query(engine,
        "select name, sum(value), description from stats" +
        " where severity <> 'info' and value > 0 group by name")) {
        seen.errors.push(`${name}: ${value} ${description}`.trim());
    }

    // Perfetto does not keep the phase: what took no time is an instant.
    const ASYNC = "track.type like 'legacy_async%'";
    const [[slices, instants, async_slices, unfinished]] = await query(engine,
        `select count(iif(not ${ASYNC} and dur <> 0, 1, null)),` +
        ` count(iif(not ${ASYNC} and dur = 0, 1, null)),` +
        ` count(iif(${ASYNC}, 1, null)), count(iif(dur = -1, 1, null))` +
        ' from slice join track on track.id = slice.track_id');
    Object.assign(seen, { slices, async_slices, unfinished, instants });

    // Perfetto invents a thread for each process; it has no name and no slice.
    const threads = await query(engine,
        'select tid, thread.name, count(iif(dur <> 0, 1, null))' +
        ' from thread left join thread_track using (utid)' +
        ' left join slice on slice.track_id = thread_track.id' +
        ' group by utid having thread.name is not null or count(slice.id) > 0');
    for (const [tid, name, count] of threads) {
        const unique = threads.filter((other) => other[1] === name).length < 2;
        seen.threads[name === null ? tid : unique ? name : `${name} ${tid}`] =
            count;
    }

    for (const [name, count] of await query(engine,
        'select track.name, count(*) from counter' +
        ' join track on track.id = counter.track_id group by track.name')) {
        seen.counters[name] = count;
    }

    try {
        seen.phases = countPhases(bytes);
    } catch (error) {
        throw new Error(`Perfetto loads it, Chrome does not: ${error.message}`);
    }
}

if (process.argv.length < 3) {
    console.error('usage: node viewer.mjs FILE.json...');
    process.exit(2);
}
for (const file of process.argv.slice(2)) {
    const seen = {
        file, errors: [], threads: {}, slices: 0, async_slices: 0,
        unfinished: 0, counters: {}, instants: 0, phases: {},
    };
    try {
        await load(file, seen);
    } catch (error) {
        // The engine rejects with plain text.
        seen.errors.push(error.message ?? String(error));
        process.exitCode = 1;
    }
    console.log(JSON.stringify(seen));
}
