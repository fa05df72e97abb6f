// SPDX-License-Identifier: MIT
// node run.mjs FOLDER BUILD COMMAND...: libvcpu in FOLDER, by its BUILD (vcpu or plain).
//     run LIMIT MEMBER=VALUE...           "instructions hash" after LIMIT instructions, or at the end of the run
//     engines LIMIT MEMBER=VALUE...       the same by both engines: "right", if they agree and blocks were stitched
//     tails                               handlers that do not end in tail calls, but call others: their numbers
//     record FILE LIMIT MEMBER=VALUE...   the same, recorded, with input on the way
//     replay FILE IMAGE...                "checkpoints" that were equal at the end, or the divergence; IMAGES are found
//                                         by their names without the folder
//     debug FILE COMMANDS ANSWERS         "right", if the commands, lines of a file, give the answers that vcpu-dbg --json gave
//     api KERNEL                          snapshots, saved states, memory, registers, the screen: "right", or what is not
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

const [, , folder, build, command, ...rest] = process.argv;
const { Machine, Debugger, variant } = await import(pathToFileURL(`${folder}/vcpu.js`));
const module = readFileSync(`${folder}/${build}.wasm`);
const find = (name) => {
	const given = rest.find((file) => basename(file) === basename(name)) ?? name;
	const there = [`/${name}`, name, given].find(existsSync);

	return there && readFileSync(there);
};
const options = { module, find, print: (text) => process.stderr.write(text) };
const numbers = new Set(['memory', 'processors', 'seed', 'rtc']);

function config(words) {
	return Object.fromEntries(words.map((word) => {
		const [name, ...value] = word.split('=');
		return [name, numbers.has(name) ? Number(value[0]) : value.join('=')];
	}));
}

function runTo(machine, limit, run = (n) => machine.run(n)) {
	let stop;

	do
		stop = run(Math.min(7000001, limit - machine.instructions));
	while ((stop.reason === 'limit' || stop.reason === 'idle') && machine.instructions < limit);
	return stop;
}

const commands = {
	async run(limit, ...words) {
		const machine = await Machine.create(config(words), options);

		runTo(machine, Number(limit));
		return `${machine.instructions} ${machine.stateHash}`;
	},
	async engines(limit, ...words) {
		const [one, other] = await Promise.all(['stitched', 'interpreter'].map((engine) =>
			Machine.create({ ...config(words), engine }, options)));

		for (const machine of [one, other])
			runTo(machine, Number(limit));
		return one.stateHash !== other.stateHash ? `${one.stateHash}, interpreter ${other.stateHash}` :
			!one.stitched || other.stitched ? `blocks: ${one.stitched}, interpreter ${other.stitched}` : 'right';
	},
	async tails() {
		const { Code } = await import(pathToFileURL(`${folder}/stitch.js`));

		return `${new Code(module).nested()}`;
	},
	async record(file, limit, ...words) {
		const machine = await Machine.create(config(words), options);

		machine.record({ interval: 1000000 });
		runTo(machine, Number(limit) / 2);
		machine.input('com1', 'x');
		runTo(machine, Number(limit));
		const result = `${machine.instructions} ${machine.stateHash}`;
		writeFileSync(file, machine.endRecording());
		return result;
	},
	async replay(file) {
		const machine = await Machine.open(readFileSync(file), options);

		machine.replayVerify();
		while (!machine.replayDone && !machine.replayDivergence)
			machine.replayRun(7000001);
		return machine.replayDivergence ?? `${machine.replayChecked}`;
	},
	async debug(file, commands, answers) {
		const debug = new Debugger(await Machine.open(readFileSync(file), options));
		const [lines, expected] = [commands, answers].map((name) => readFileSync(name, 'utf8').trim().split('\n'));
		const wrong = lines.filter((line, i) => !isDeepStrictEqual(debug.command(line), JSON.parse(expected[i])));

		return wrong.length ? `other answers: ${wrong}` : 'right';
	},
	async api(kernel) {
		const machine = await Machine.create({ kernel, memory: 16 << 20, display: 'vga' }, options);
		const wrong = [];
		const same = (what, a, b) => {
			if (String(a) !== String(b))
				wrong.push(`${what}: ${a}, not ${b}`);
		};

		runTo(machine, 1000);
		const snapshot = machine.takeSnapshot(), state = machine.save(), hash = machine.stateHash;
		same('registers', machine.get('cs') * 16n + machine.get('rip') > 0n, true);
		same('bytes written', machine.writePhysical(0x9000, new Uint8Array([1, 2, 3])), 3);
		same('bytes read', machine.readPhysical(0x9000, 3), '1,2,3');
		machine.set('rbx', 0x123456789n);
		same('rbx', machine.get('rbx'), 0x123456789n);
		same('a change changes the hash', machine.stateHash === hash, false);
		machine.restoreSnapshot(snapshot);
		same('after a snapshot', machine.stateHash, hash);
		machine.set('rbx', 1n);
		machine.load(state);
		same('after a load', machine.stateHash, hash);
		same('the picture', machine.screen()?.rgba.length, 640 * 400 * 4);
		await Machine.create({ kernel: '/nowhere' }, options).then(() => wrong.push('a kernel that is nowhere'),
			(error) => same('the error', /nowhere/.test(error.message), true));
		return wrong.join('; ') || 'right';
	},
};

console.log(build === 'which' ? variant() : await commands[command](...rest));
