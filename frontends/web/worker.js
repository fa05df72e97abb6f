// SPDX-License-Identifier: MIT
// The page's Worker: one machine, which runs live and is recorded, or is that of a recording in the debugger. A message
// { id, op, ... } is answered by { id, value } or { id, error, files }. Between slices of a run, messages { event, ... } say
// how far it is.
import { Debugger, Machine, variant } from './vcpu.js';
import { blobFile, forgetFile, keptFile, urlFile } from './files.js';

const SLICE = 8e6; // instructions: some 50 ms
const FRAME = 50; // ms between two messages of how far a run is
const PAUSE = 250; // ms that a command which goes on runs before it tells how far it is
const LOOK = 25;   // ms between two looks whether a command is to be stopped
const LONGEST = 60000; // ms after which a command is interrupted where looks are not possible
const GOES_ON = /^(c|continue|fin|finish|u|until|advance)\b/;

let machine, debug, output, cancelled, live, paused;
const files = new Map(); // what the user gave, by name
const kept = new Map();  // overlays that the browser keeps, as far as they are open

const baseName = (name) => name.slice(name.lastIndexOf('/') + 1);

function addFile(name, content) {
	files.set(name, content instanceof Blob ? blobFile(content) : content instanceof URL || content.url ? urlFile(content.url) :
		content);
}

function closeKept() {
	for (const file of kept.values())
		file.close();
	kept.clear();
}

// A recording names files by where they were: the base name has to do.
function find(name) {
	return kept.get(name) ?? files.get(name) ??
		[...files].find(([given]) => baseName(given) === baseName(name))?.[1];
}

const options = {
	find,
	print: (text) => console.log(text),
	output: (channel, data) => {
		if (channel === 'com1')
			output.push({ at: machine?.instructions ?? 0, data });
		else if (channel === 'host_log')
			postMessage({ event: 'log', text: new TextDecoder().decode(data) });
	},
};

function flushOutput() {
	const some = output;

	output = [];
	return some;
}

function progress(more = {}) {
	postMessage({ event: 'progress', place: machine.place, output: flushOutput(), ...more });
}

// A message comes at once; timers, one after the other, take 4 ms each.
const turn = new MessageChannel(), waiting = [];

turn.port1.onmessage = () => waiting.shift()();

function nextTask(ms = 0) {
	return new Promise((done) => {
		if (ms)
			return setTimeout(done, ms);
		waiting.push(done);
		turn.port2.postMessage(null);
	});
}

function drop() {
	cancelled = true;
	live = false;
	machine = debug = null;
	output = [];
	closeKept();
}

/** What the panels show of the present place. */
function view(memoryAt) {
	const code = debug.command('disassemble $pc 20');
	const sp = machine.get('rsp'), bits = Number(machine.get('code_bits'));
	const base = bits === 64 ? 0n : machine.get('ss_base');
	const at = memoryAt ?? sp + base;

	return {
		place: machine.place, pc: code.pc, symbol: code.symbol, code: code.instructions ?? [], bits,
		registers: debug.command('info registers').registers, frames: debug.command('backtrace 12').frames ?? [],
		stops: debug.command('info breakpoints').breakpoints ?? [], sp: sp + base,
		memory: { at, bytes: machine.readLinear(at, 256) }, screen: machine.screen(), text: machine.screenText(),
		output: flushOutput(),
	};
}

/** Has a command only been interrupted by our clock? */
function unfinished(answer) {
	return answer.stop?.what === 'machine' && ['limit', 'idle', 'request'].includes(answer.stop.reason);
}

/**
 * No message comes in while a command runs. But a file can be asked for: the page revokes the address, of a Blob, when it
 * wants a stop.
 */
function isThere(url) {
	const request = new XMLHttpRequest();

	try {
		request.open('GET', url, false);
		request.send();
		return request.status === 200;
	} catch {
		return false;
	}
}

/** Do a command. GOES: the address of a Blob, as long as the command may go on. */
async function longCommand(line, goes) {
	const looks = goes && isThere(goes);
	let answer, looked = performance.now();

	do {
		const end = performance.now() + (GOES_ON.test(line) ? PAUSE : looks ? Infinity : LONGEST);

		answer = debug.command(line, () => {
			const now = performance.now();

			if (looks && now - looked >= LOOK) {
				cancelled ||= !isThere(goes);
				looked = now;
			}
			return !cancelled && now < end;
		});
		if (!GOES_ON.test(line) || !unfinished(answer))
			break;
		progress();
		await nextTask();
	} while (!cancelled);
	return answer;
}

async function runLive() {
	let idle = false, shown = 0;

	while (live) {
		if (!paused) {
			const begin = performance.now();
			const stop = machine.run(idle ? 16e6 : SLICE);

			idle = stop.reason === 'idle';
			live = ['limit', 'idle', 'time'].includes(stop.reason);
			if (!live || idle || begin - shown >= FRAME) {
				shown = begin;
				progress({ screen: machine.screen(), stop: stop.reason });
			}
			if (!live)
				break;
			await nextTask(idle ? Math.max(0, 16 - (performance.now() - begin)) : 0);
		} else {
			await nextTask(50);
		}
	}
}

const operations = {
	/** The bytes of both builds, if they are not files beside this one. */
	async module({ modules }) { options.module = modules[variant()]; },
	async files({ given }) {
		for (const [name, content] of Object.entries(given))
			addFile(name, content);
	},
	/** Open a recording in the debugger. */
	async open({ recording }) {
		drop();
		machine = await Machine.open(recording, options);
		debug = new Debugger(machine);
		return { end: machine.replayEnd, cut: machine.replayCut };
	},
	/** Run to the end of the recording, and see what happens on the way. */
	async explore() {
		const end = machine.replayEnd;

		cancelled = false;
		while (!cancelled && machine.instructions < end.instructions) {
			const stop = debug.explore(Math.min(SLICE, end.instructions - machine.instructions));

			progress({ timeline: debug.timeline(), end });
			if (stop.what === 'error' || !['limit', 'idle'].includes(stop.reason))
				break;
			await nextTask();
		}
		if (!cancelled)
			debug.command('goto end'); // it may sleep behind its last instruction
		progress({ timeline: debug.timeline(), end });
		return { place: machine.place, complete: !cancelled };
	},
	/** Run the recording without a debugger, and compare the checkpoints. */
	async verify({ recording }) {
		const twin = await Machine.open(recording, { ...options, output: () => {} });

		twin.replayVerify();
		cancelled = false;
		while (!cancelled && !twin.replayDone && !twin.replayDivergence) {
			twin.replayRun(SLICE);
			postMessage({ event: 'verified', checked: twin.replayChecked, place: twin.place });
			await nextTask();
		}
		return { checked: twin.replayChecked, divergence: twin.replayDivergence, complete: twin.replayDone };
	},
	async cancel() { cancelled = true; },
	async command({ line, memoryAt, goes }) {
		cancelled = false;
		const answer = await longCommand(line, goes);
		return { answer, view: view(memoryAt) };
	},
	async complete({ line }) { return debug.complete(line); },
	async view({ memoryAt }) { return view(memoryAt); },
	async hash() { return machine.stateHash; },

	/** Start a machine that is recorded. KEEP: names of overlays among its drives' options. */
	async start({ config, keep = [] }) {
		drop();
		for (const name of keep)
			kept.set(name, await keptFile(name));
		machine = await Machine.create(config, options);
		machine.record({ embed: true });
		live = true;
		paused = false;
		runLive().catch((error) => postMessage({ event: 'log', text: error.message }));
	},
	async pause({ on }) { paused = on; },
	async input({ channel, data }) { machine.input(channel, data); },
	/** End the run. The value is its recording. */
	async finish() {
		live = false;
		await nextTask(20);
		const recording = machine.endRecording();

		machine.free(); // flushes the drives
		drop();
		return recording;
	},
	/** Forget what a guest wrote: the overlay NAME. */
	async forget({ name }) { return forgetFile(name); },
};

onmessage = async ({ data: { id, op, ...rest } }) => {
	try {
		postMessage({ id, value: await operations[op](rest) });
	} catch (error) {
		postMessage({ id, error: error.message, files: error.files });
	}
};
