// SPDX-License-Identifier: MIT
// libvcpu in JavaScript: vcpu.d.ts describes it. Each machine is an instance of the WebAssembly module of its own.
import { Code, Stitcher } from './stitch.js';
import { MemoryFile, Wasi, plainName } from './wasi.js';

export { MemoryFile };

const CHANNELS = ['com1', 'debugcon', 'keyboard', 'power', 'log', 'com2', 'com3', 'com4', 'lpt1', 'mouse', 'console', 'net',
	'share', 'sound', 'firmware', 'reset', 'medium', 'host_log', 'nmi', 'machine_check'];
const ENGINES = ['best', 'interpreter', 'stitched']; // enum vcpu_engine
const BUSES = ['ide', 'ahci', 'virtio', 'floppy', 'shelf'];

// A module whose only function ends in a tail call, and one whose only function returns a vector of zeroes.
const TAIL_CALL = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 18, 0, 11];
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** The build that this engine can run: 'vcpu' needs tail calls and SIMD, 'plain' does not. */
export function variant() {
	return [TAIL_CALL, SIMD].every((bytes) => WebAssembly.validate(new Uint8Array(bytes))) ? 'vcpu' : 'plain';
}

const compiled = new Map();
const codes = new WeakMap(); // of modules that can be stitched

async function compileBytes(bytes) {
	const code = new Code(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength));
	const module = await WebAssembly.compile(code.stitches ? code.open() : bytes);

	if (code.stitches)
		codes.set(module, code);
	return module;
}

async function compile(source) {
	if (source instanceof WebAssembly.Module)
		return source;
	if (source instanceof ArrayBuffer || ArrayBuffer.isView(source))
		return compileBytes(source);
	const url = source ?? new URL(`${variant()}.wasm`, import.meta.url);

	if (url.protocol === 'file:' && typeof process === 'object') {
		const { readFile } = await import('node:fs/promises');
		return compileBytes(await readFile(url));
	}
	const answer = await fetch(url);

	if (!answer.ok)
		throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
	return compileBytes(await answer.arrayBuffer());
}

/** Compile the WebAssembly module once. SOURCE: its bytes, a URL or a compiled module; by default the file beside this. */
export function loadModule(source) {
	const key = source ?? 'default';

	if (!compiled.has(key))
		compiled.set(key, compile(source));
	return compiled.get(key);
}

function toFile(content) {
	if (typeof content === 'string')
		return new MemoryFile(new TextEncoder().encode(content));
	if (content instanceof ArrayBuffer)
		return new MemoryFile(new Uint8Array(content));
	return ArrayBuffer.isView(content) ? new MemoryFile(content) : content;
}

class Instance {
	static async make({ module, files = {}, find, print = () => {}, output = () => {} } = {}) {
		const self = new Instance();
		const entries = files instanceof Map ? [...files] : Object.entries(files);

		self.output = output;
		self.recorded = null;
		self.goOn = () => true;
		self.wasi = new Wasi({
			files: new Map(entries.map(([name, content]) => [plainName(name), toFile(content)])),
			find: find && ((name) => {
				const content = find(name);
				return content && toFile(content);
			}),
			print,
		});
		const compiledModule = await loadModule(module), instance = await WebAssembly.instantiate(compiledModule, {
			wasi_snapshot_preview1: self.wasi.imports,
			vcpu: {
				web_output: (channel, at, length) => self.output(CHANNELS[channel], self.copy(at, length)),
				web_write: (at, length) => {
					self.recorded.push(self.copy(at, length));
					return 1;
				},
				web_go_on: () => self.goOn() ? 1 : 0,
				stitch_make: (first, count, waiting) => self.stitcher?.make(first >>> 0, count, waiting) ?? 0,
				stitch_drop: () => self.stitcher?.drop(),
			},
		});

		self.call = instance.exports;
		if (codes.has(compiledModule))
			self.stitcher = new Stitcher(codes.get(compiledModule), instance);
		self.wasi.memory = self.call.memory;
		self.call._initialize();
		return self;
	}

	bytes(at, length) { return new Uint8Array(this.call.memory.buffer, at, length); }
	copy(at, length) { return this.bytes(at, length).slice(); }

	string(at) {
		const memory = new Uint8Array(this.call.memory.buffer);
		return new TextDecoder().decode(memory.slice(at, memory.indexOf(0, at)));
	}

	allocate(length) {
		const at = this.call.malloc(Math.max(length, 1));

		if (!at)
			throw new Error('out of memory');
		return at;
	}

	/** CALL with BYTES in the module's memory: their address and length. */
	with(bytes, call) {
		const at = this.allocate(bytes.length);

		this.bytes(at, bytes.length).set(bytes);
		try {
			return call(at, bytes.length);
		} finally {
			this.call.free(at);
		}
	}

	withText(text, call) {
		return this.with(new TextEncoder().encode(text + '\0'), call);
	}
}

function asBytes(data) {
	return typeof data === 'string' ? new TextEncoder().encode(data) : data instanceof ArrayBuffer ? new Uint8Array(data) :
		data;
}

function engineNumber(name) {
	if (!ENGINES.includes(name))
		throw new Error(`there is no engine ${name}`);
	return ENGINES.indexOf(name);
}

function hex64(value) {
	return BigInt.asUintN(64, value).toString(16).padStart(16, '0');
}

export class Machine {
	/** A new machine. Rejects with the library's one line of text. */
	static async create(config, options) {
		const { drives = [], loads = [], engine = 'best', ...members } = config;
		const i = await Instance.make(options);
		const check = (ok, name) => {
			if (!ok)
				throw new Error(`${name}: there is no such member of the configuration, or there are too many`);
		};

		for (const [name, value] of Object.entries({ ...members, engine: engineNumber(engine) }))
			if (value !== undefined && value !== null)
				check(i.withText(name, (n) => i.withText(typeof value === 'boolean' ? `${+value}` : `${value}`,
					(v) => i.call.web_set(n, v))), name);
		for (const { bus = 'ide', cdrom = false, image = '' } of drives)
			check(BUSES.includes(bus) && i.withText(image, (at) => i.call.web_drive(BUSES.indexOf(bus), cdrom, at)),
				`drive ${image}`);
		for (const what of loads)
			check(i.withText(what, (at) => i.call.web_load(at)), what);
		return new Machine(i, i.call.web_new());
	}

	/** The machine of a recording, at its beginning. */
	static async open(recording, options) {
		const i = await Instance.make(options);
		const bytes = asBytes(recording), at = i.allocate(bytes.length);

		i.bytes(at, bytes.length).set(bytes);
		const replay = i.call.web_open(at, bytes.length);

		if (!replay)
			throw new Error(i.string(i.call.web_error()));
		i.call.vcpu_replay_engine(replay, engineNumber(options?.engine ?? 'best'));
		const machine = i.call.web_replay_new();

		if (!machine) {
			const error = new Error(i.string(i.call.web_error()));

			error.files = i.string(i.call.web_replay_files()).split('\n').filter(Boolean);
			throw error;
		}
		return new Machine(i, machine, replay);
	}

	constructor(instance, machine, replay = 0) {
		this.i = instance;
		this.pointer = machine;
		this.replay = replay;
		if (!machine)
			throw new Error(instance.string(instance.call.web_error()));
	}

	/** What the file NAME has become: bytes, or undefined. */
	file(name) { return this.i.wasi.files.get(plainName(name))?.content?.(); }
	get error() { return this.i.string(this.i.call.vcpu_error(this.pointer)); }

	/** @private The numbers of web.c. */
	numbers(at) {
		const [reason, code, address, error, instructions, steps, ns] = new BigUint64Array(this.i.call.memory.buffer, at, 7);
		return { reason: Number(reason), code: Number(code), address, error: Number(error),
			place: { instructions: Number(instructions), steps: Number(steps), ns: Number(ns) } };
	}
	stop(at) {
		const n = this.numbers(at);

		this.i.stitcher?.flush();
		return { ...n, reason: this.i.string(this.i.call.vcpu_stop_name(n.reason)) };
	}
	done(ok) {
		if (!ok)
			throw new Error(this.error || this.i.string(this.i.call.web_error()));
	}

	run(instructions) { return this.stop(this.i.call.web_run(BigInt(instructions))); }
	get place() { return this.numbers(this.i.call.web_where()).place; }
	get instructions() { return Number(this.i.call.vcpu_instructions(this.pointer)); }
	get ns() { return Number(this.i.call.vcpu_virtual_ns(this.pointer)); }
	get stateHash() { return hex64(this.i.call.vcpu_state_hash(this.pointer)); }

	input(channel, data = new Uint8Array(0)) {
		if (!CHANNELS.includes(channel))
			throw new Error(`there is no channel ${channel}`);
		this.done(this.i.with(asBytes(data), (at, length) =>
			!this.i.call.vcpu_input(this.pointer, CHANNELS.indexOf(channel), at, length)));
	}
	typeText(text) { return this.i.withText(text, (at) => this.i.call.vcpu_type_text(this.pointer, at)); }
	mouse(dx, dy, buttons, wheel = 0) {
		this.input('mouse', new Uint8Array(Int16Array.of(dx, dy, wheel, buttons).buffer));
	}

	#register(name) {
		const number = this.i.withText(name, (at) => this.i.call.vcpu_register_by_name(at));

		if (number < 0)
			throw new Error(`there is no register ${name}`);
		return number;
	}
	get(register) { return BigInt.asUintN(64, this.i.call.vcpu_get(this.pointer, this.#register(register))); }
	set(register, value) {
		this.done(!this.i.call.vcpu_set(this.pointer, this.#register(register), BigInt.asIntN(64, BigInt(value))));
	}
	/** Blocks that became functions of modules of their own. */
	get stitched() { return this.i.stitcher?.blocks ?? 0; }
	get processors() { return this.i.call.vcpu_processors(this.pointer); }
	select(processor) { this.done(!this.i.call.vcpu_select(this.pointer, processor)); }

	#read(call, address, length) {
		const at = this.i.allocate(length);

		try {
			return this.i.copy(at, call(this.pointer, BigInt.asIntN(64, BigInt(address)), at, length));
		} finally {
			this.i.call.free(at);
		}
	}
	#write(call, address, data) {
		return this.i.with(asBytes(data), (at, length) => call(this.pointer, BigInt.asIntN(64, BigInt(address)), at, length));
	}
	readPhysical(address, length) { return this.#read(this.i.call.vcpu_read_physical, address, length); }
	readLinear(address, length) { return this.#read(this.i.call.vcpu_read_linear, address, length); }
	writePhysical(address, data) { return this.#write(this.i.call.vcpu_write_physical, address, data); }
	writeLinear(address, data) { return this.#write(this.i.call.vcpu_write_linear, address, data); }

	/** The picture, or null. */
	screen() {
		const SIZE = 28, head = this.i.allocate(SIZE);
		let at = 0;

		try {
			if (!this.i.call.vcpu_screen(this.pointer, head, 0, 0))
				return null;
			const [width, height, columns, rows, cursor, column, row] = new Uint32Array(this.i.call.memory.buffer, head, 7);
			const count = width * height, rgba = new Uint32Array(count);

			at = this.i.allocate(4 * count);
			this.i.call.vcpu_screen(this.pointer, head, at, count);
			const pixels = new Uint32Array(this.i.call.memory.buffer, at, count);

			for (let n = 0; n < count; n++) {
				const p = pixels[n];
				rgba[n] = 0xff000000 | (p & 0xff) << 16 | p & 0xff00 | p >> 16 & 0xff;
			}
			return { width, height, columns, rows, cursor: cursor & 1 ? { column, row } : null,
				rgba: new Uint8ClampedArray(rgba.buffer) };
		} finally {
			this.i.call.free(head);
			this.i.call.free(at);
		}
	}
	screenText() {
		const SIZE = 65536, at = this.i.allocate(SIZE);

		try {
			return this.i.call.vcpu_screen_text(this.pointer, at, SIZE) ? this.i.string(at) : '';
		} finally {
			this.i.call.free(at);
		}
	}

	takeSnapshot() {
		const snapshot = this.i.call.vcpu_snapshot_take(this.pointer);

		this.done(snapshot);
		return snapshot;
	}
	restoreSnapshot(snapshot) { this.done(!this.i.call.vcpu_snapshot_restore(this.pointer, snapshot)); }
	freeSnapshot(snapshot) { this.i.call.vcpu_snapshot_free(this.pointer, snapshot); }

	save() {
		const size = this.i.allocate(4);

		try {
			const at = this.i.call.web_save(size);

			this.done(at);
			return this.i.copy(at, new DataView(this.i.call.memory.buffer).getUint32(size, true));
		} finally {
			this.i.call.free(size);
		}
	}
	load(state) { this.done(this.i.with(asBytes(state), (at, length) => this.i.call.web_restore(at, length))); }

	record({ embed = true, interval = 0 } = {}) {
		this.i.recorded = [];
		this.done(this.i.call.web_record(embed, BigInt(interval)));
	}
	/** What was recorded so far. The machine goes on being recorded. */
	recording() {
		const chunks = this.i.recorded ?? [], bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
		let at = 0;

		for (const chunk of chunks) {
			bytes.set(chunk, at);
			at += chunk.length;
		}
		this.i.recorded = [bytes];
		return bytes.slice();
	}
	endRecording() {
		this.done(this.i.call.web_record_end());
		return this.recording();
	}

	replayRun(instructions) { return this.stop(this.i.call.web_replay_run(BigInt(instructions))); }
	replayVerify(on = true) { this.i.call.vcpu_replay_verify(this.replay, on); }
	get replayDone() { return !!this.i.call.vcpu_replay_done(this.replay); }
	get replayChecked() { return this.i.call.vcpu_replay_checked(this.replay); }
	get replayDivergence() {
		const at = this.i.call.vcpu_replay_divergence(this.replay);
		return at ? this.i.string(at) : null;
	}
	get replayEnd() { return this.numbers(this.i.call.web_replay_end()).place; }
	get replayCut() {
		const at = this.i.call.vcpu_replay_cut(this.replay);
		return at ? this.i.string(at) : null;
	}

	free() {
		this.i.call.vcpu_free(this.pointer);
		this.pointer = 0;
	}
}

const WHAT = ['machine', 'breakpoint', 'watchpoint', 'event', 'there', 'start', 'end', 'error'];

export class Debugger {
	/** Debug MACHINE from its present place. From now on it runs only through its debugger. */
	constructor(machine, { bytes, interval } = {}) {
		this.machine = machine;
		this.i = machine.i;
		if (!this.i.call.web_debug())
			throw new Error(this.i.string(this.i.call.web_error()));
		if (bytes || interval)
			this.i.call.web_debug_limits(BigInt(bytes ?? 512 << 20), BigInt(interval ?? 16e6));
	}

	/** A command of vcpu-dbg. GO_ON is asked now and then during a long one: false ends it. */
	command(line, goOn = () => true) {
		this.i.goOn = goOn;
		try {
			return JSON.parse(this.i.withText(line, (at) => this.i.string(this.i.call.web_command(at))));
		} finally {
			this.i.goOn = () => true;
		}
	}
	complete(line) {
		return this.i.withText(line, (at) => this.i.string(this.i.call.web_complete(at))).split('\n').filter(Boolean);
	}

	/** Run forwards and count interrupts, faults, traps and changes of CR3, for timeline(). */
	explore(instructions) {
		const { code, ...stop } = this.machine.stop(this.i.call.web_explore(BigInt(instructions)));
		return { ...stop, what: WHAT[code] };
	}
	timeline() {
		const at = this.i.call.web_timeline(), FIELDS = 4;
		const [shift, used] = new Uint32Array(this.i.call.memory.buffer, at, 2);
		return { instructions: 2 ** shift, fields: ['interrupts', 'faults', 'traps', 'switches'],
			counts: new Uint32Array(this.i.call.memory.buffer, at + 8, FIELDS * used).slice() };
	}
}
