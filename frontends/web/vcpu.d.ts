// SPDX-License-Identifier: MIT
// libvcpu in JavaScript. The concepts are those of lib/vcpu.h, vcpu_replay.h, vcpu_snapshot.h and of vcpu-dbg(1).
//
//     const machine = await Machine.create({ kernel: 'bzImage', append: 'console=ttyS0', memory: 256 << 20 },
//         { files: { bzImage: bytes }, output: (channel, data) => ... });
//     while (['limit', 'idle'].includes(machine.run(10e6).reason))
//         await new Promise(setImmediate);
//
// All functions but create, open and loadModule are synchronous: use a Worker for long runs. Counts of instructions and
// nanoseconds are numbers; registers and addresses are bigints; a state hash is 16 hexadecimal digits. A call that fails
// throws an Error with the library's one line of text.

/** Bytes of the host. In a Worker, files.js makes them of a Blob or a URL, piece by piece. */
export interface File {
	readonly size: number;
	read(offset: number, length: number): Uint8Array;
	/** Absent: the file cannot be written. */
	write?(offset: number, bytes: Uint8Array): void;
	/** What was written is safe when this returns. */
	flush?(): void;
}
/** A file in memory. An array that is written to is changed in place, until the file grows. */
export class MemoryFile implements File {
	constructor(bytes?: Uint8Array);
	size: number;
	read(offset: number, length: number): Uint8Array;
	write(offset: number, bytes: Uint8Array): void;
	content(): Uint8Array;
}
export type Bytes = Uint8Array | ArrayBuffer | string;

export type Channel = 'com1' | 'com2' | 'com3' | 'com4' | 'debugcon' | 'keyboard' | 'mouse' | 'power' | 'reset' | 'nmi' | 'machine_check' | 'log' |
	'host_log' | 'lpt1' | 'console' | 'net' | 'share' | 'sound' | 'firmware' | 'medium';

export interface Drive {
	bus?: 'ide' | 'ahci' | 'virtio' | 'floppy' | 'shelf';
	cdrom?: boolean;
	/** "NAME[,readonly][,snapshot]..." as in vcpu.h: NAME is one of Options.files. Empty: no medium. */
	image?: string;
}
export type Engine = 'best' | 'interpreter' | 'stitched';
/** struct vcpu_config. Names of files are names of Options.files. */
export interface Config {
	memory?: number; cpu?: string; bare?: boolean;
	kernel?: string; initrd?: string; append?: string; loads?: string[];
	processors?: number; bios?: string; vars?: string; display?: 'vga' | 'none'; drives?: Drive[]; ide?: boolean; boot?: string;
	nic?: 'virtio' | 'e1000' | 'ne2000' | 'none'; console?: boolean; rng?: boolean; share?: string; sound?: boolean;
	serial_instant?: boolean; test_ports?: boolean; no_skip_waiting?: boolean;
	ns_per_instruction_q16?: number; seed?: number | bigint; rtc?: number;
	/** 'stitched': hot blocks become modules of their own, which 'best' does where it can. States are the same. */
	engine?: Engine;
}
export interface Options {
	/** The files that the machine can open. Firmware has the names that Debian's package seabios gives it. */
	files?: Record<string, Bytes | File> | Map<string, Bytes | File>;
	/** Called with a name that FILES lacks. */
	find?: (name: string) => Bytes | File | undefined;
	/** Output of the machine. It is called in the middle of run(): it must not call the machine. */
	output?: (channel: Channel, data: Uint8Array) => void;
	/** Lines that C's standard output and error would have. */
	print?: (text: string) => void;
	/** The WebAssembly module, its bytes or its URL [the file of variant() beside vcpu.js]. */
	module?: WebAssembly.Module | ArrayBuffer | Uint8Array | URL;
	/** Of Machine.open(), which has no configuration. */
	engine?: Engine;
}

/** A place in a run: struct vcpu_place. */
export interface Place { instructions: number; steps: number; ns: number }
export interface Stop {
	/** vcpu_stop_name(): 'limit', 'idle', 'poweroff', 'triple-fault', ... */
	reason: string;
	code: number; address: bigint; error: number;
	place: Place;
}
export interface Screen {
	width: number; height: number;
	/** Of a text mode, else 0. */
	columns: number; rows: number;
	cursor: { column: number; row: number } | null;
	/** For new ImageData(rgba, width, height). */
	rgba: Uint8ClampedArray;
}

export class Machine {
	static create(config: Config, options?: Options): Promise<Machine>;
	/** The machine of a recording. If it needs a file that is not there, the error has their names in .files. */
	static open(recording: Uint8Array | ArrayBuffer, options?: Options): Promise<Machine>;
	/** Free what the machine has. Nothing but garbage collection gives back the module's memory. */
	free(): void;

	/** Retire at most INSTRUCTIONS instructions. 'limit' and 'idle' mean: call again. */
	run(instructions: number): Stop;
	readonly place: Place;
	readonly instructions: number;
	readonly ns: number;
	readonly stateHash: string;
	/** Blocks of the guest that became functions of modules of their own, so far. */
	readonly stitched: number;
	/** The text of the last call that failed. */
	readonly error: string;

	input(channel: Channel, data?: Bytes): void;
	/** Type on a US keyboard. Returns the number of characters that the keyboard has taken. */
	typeText(text: string): number;
	/** Move by DX to the right and DY up. Buttons: 1 left, 2 right, 4 middle. */
	mouse(dx: number, dy: number, buttons: number, wheel?: number): void;

	get(register: string): bigint;
	set(register: string, value: bigint | number): void;
	readonly processors: number;
	select(processor: number): void;
	/** At most LENGTH bytes: up to the first address without RAM or without a translation. */
	readPhysical(address: bigint | number, length: number): Uint8Array;
	readLinear(address: bigint | number, length: number): Uint8Array;
	/** Return the number of bytes that were written. */
	writePhysical(address: bigint | number, data: Bytes): number;
	writeLinear(address: bigint | number, data: Bytes): number;

	/** null: there is no display, or its picture is off. */
	screen(): Screen | null;
	/** The characters of a text mode, a line a row; else ''. */
	screenText(): string;
	/** What has become of a file of Options.files, or one that the machine created. */
	file(name: string): Uint8Array | undefined;

	/** Snapshots in memory: a number names one. */
	takeSnapshot(): number;
	restoreSnapshot(snapshot: number): void;
	freeSnapshot(snapshot: number): void;
	/** The whole state, for load() of a machine of the same configuration, on any host. */
	save(): Uint8Array;
	load(state: Uint8Array): void;

	/** Record from now on; the machine must not have run. EMBED [true]: the kernel and the initrd, too. */
	record(options?: { embed?: boolean; interval?: number }): void;
	/** The recording so far. */
	recording(): Uint8Array;
	/** A last checkpoint. Returns the whole recording. */
	endRecording(): Uint8Array;

	/** Of a machine of open(): run with the inputs of the recording. */
	replayRun(instructions: number): Stop;
	/** Compare the state at every checkpoint. */
	replayVerify(on?: boolean): void;
	readonly replayDone: boolean;
	/** Checkpoints that were compared and equal. */
	readonly replayChecked: number;
	/** One line, if the run differs from the recorded one. */
	readonly replayDivergence: string | null;
	/** The last place in the recording. */
	readonly replayEnd: Place;
	/** Why the recording ends early, if it does. */
	readonly replayCut: string | null;
}

/** The answer of a command: the object that vcpu-dbg --json prints. */
export interface Answer {
	ok: boolean;
	command: string;
	output: string;
	error?: { message: string };
	place: Place & { instructions: number | string };
	pc: string;
	stop?: { what: string; reason?: string; id?: number; [member: string]: unknown };
	[member: string]: unknown;
}

export class Debugger {
	/** Debug MACHINE, both ways in time, from its present place. From now on it runs only through its debugger.
	 *  BYTES [512 MiB] and INTERVAL [16,000,000 instructions] are those of vcpu_debug_limits(). */
	constructor(machine: Machine, limits?: { bytes?: number; interval?: number });
	/** GO_ON is asked now and then during a long command; false ends it. */
	command(line: string, goOn?: () => boolean): Answer;
	/** What the last word of LINE can become. */
	complete(line: string): string[];
	/** Run forwards; interrupts, faults, other exceptions and changes of CR3 are counted for timeline(). */
	explore(instructions: number): Stop & { what: string };
	/** Counts of FIELDS for each stretch of so many INSTRUCTIONS from the start of the run. */
	timeline(): { instructions: number; fields: string[]; counts: Uint32Array };
}

/** The build that this JavaScript engine can run: 'vcpu' with tail calls and SIMD, else 'plain'. */
export function variant(): 'vcpu' | 'plain';
/** Compile the module once. */
export function loadModule(source?: Options['module']): Promise<WebAssembly.Module>;
