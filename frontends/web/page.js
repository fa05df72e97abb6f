// SPDX-License-Identifier: MIT
// The page: what its parts do. The machine is in a Worker (worker.js).
import { Timeline, seconds, thousands } from './timeline.js';
import { SerialTerminal } from './terminal.js';
import { scanCode } from './keys.js';
import { placeName, showCode, showFrames, showMemory, showRegisters, showScreen, showStops } from './panels.js';

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
const waiting = new Map();
const bundle = globalThis.vcpuBundle; // bundle.mjs: the page is one file
let calls = 0, goes = null, recording = null, url = null, given = {}, mode = 'empty', last = null, registers = null, guests = [];

function ask(op, more = {}) {
	worker.postMessage({ id: ++calls, op, ...more });
	return new Promise((resolve, reject) => waiting.set(calls, { resolve, reject }));
}

worker.onmessage = ({ data }) => {
	if (data.event) {
		events[data.event](data);
		return;
	}
	const { resolve, reject } = waiting.get(data.id);

	waiting.delete(data.id);
	if (data.error)
		reject(Object.assign(new Error(data.error), { files: data.files }));
	else
		resolve(data.value);
};

worker.onerror = (event) => say(`The Worker does not start: ${event.message ?? 'it cannot be loaded'}`, true);

function say(text, isError = false) {
	$('status').textContent = text;
	$('status').classList.toggle('error', isError);
}

const timeline = new Timeline($('timeline'), (instructions) => command(`goto ${instructions}`));
const terminal = new SerialTerminal($('terminal'), (data) => {
	if (mode === 'live')
		ask('input', { channel: 'com1', data }).catch((error) => say(error.message, true));
}, () => mode === 'live');

function setMode(to) {
	mode = to;
	document.body.dataset.mode = to;
	for (const button of document.querySelectorAll('#transport button, #debugger button, #memory-form button'))
		button.disabled = to !== 'debug';
	$('stop').disabled = to !== 'busy' && to !== 'exploring';
	$('download').disabled = !recording;
	$('verify').disabled = to !== 'debug';
	$('link').disabled = to !== 'debug';
	$('live').hidden = to !== 'live';
}

function hear(output) {
	terminal.add(output);
	timeline.output.push(...output);
}

const events = {
	progress({ place, output, timeline: known, screen, stop, end }) {
		hear(output);
		timeline.times.push(place);
		if (known)
			timeline.known = known;
		if (mode === 'live') {
			timeline.end = Math.max(place.instructions, 1);
			showScreen($('screen'), screen);
			if (stop && !['limit', 'idle'].includes(stop))
				say(`The guest has stopped: ${stop}. Stop and look opens the recording.`);
		} else if (end) {
			timeline.end = Math.max(end.instructions, 1);
			say(`Replaying: ${Math.floor(100 * place.instructions / timeline.end)} %`);
		}
		terminal.show();
		timeline.set(place);
		$('where').textContent = `${thousands(place.instructions)} instructions, ${seconds(place.ns)}`;
	},
	verified({ checked, place }) {
		say(`Verifying: ${checked} checkpoints, ${Math.floor(100 * place.instructions / timeline.end)} %`);
	},
	log({ text }) { say(text, true); },
};

function show(view) {
	hear(view.output);
	if (view.place.instructions > (timeline.times.at(-1)?.instructions ?? 0))
		timeline.times.push(view.place);
	timeline.end = Math.max(timeline.end, view.place.instructions);
	timeline.set(view.place);
	terminal.show(view.place.instructions);
	$('where').textContent = [`instruction ${thousands(view.place.instructions)}`, seconds(view.place.ns), placeName(view)].filter(Boolean).join(', ');
	showRegisters($('registers'), view.registers, registers, view.bits === 64 ? 16 : 8, (what) => {
		$('memory-at').value = what;
		showMemoryAt();
	});
	registers = view.registers;
	showCode($('code'), view.code, view.pc, view.stops, (at, has) => command(has ?
		`delete ${view.stops.find((stop) => stop.address && BigInt(stop.address) === BigInt(at)).id}` : `break *${at}`));
	showFrames($('frames'), view.frames);
	showStops($('stops'), view.stops, (id) => command(`delete ${id}`));
	showMemory($('bytes'), view.memory);
	showScreen($('screen'), view.screen);
	last = view;
	document.body.dataset.place = `${view.place.instructions}`;
}

function print(text) {
	$('answers').append(text);
	$('answers').scrollTop = $('answers').scrollHeight;
}

/** Do a command of vcpu-dbg, and show where it has come to. */
async function command(line, quiet = false) {
	if (mode !== 'debug')
		return null;
	const focused = document.activeElement, patience = setTimeout(() => say(`${line}: Stop ends it.`), 300);

	goes = URL.createObjectURL(new Blob(['']));
	setMode('busy');
	try {
		const { answer, view } = await ask('command', { line, memoryAt: await memoryAddress(), goes });

		if (!quiet)
			print(`(vcpu) ${line}\n${answer.output}`);
		show(view);
		say(answer.ok ? '' : answer.error.message, !answer.ok);
		return answer;
	} catch (error) {
		say(error.message, true);
		return null;
	} finally {
		clearTimeout(patience);
		URL.revokeObjectURL(goes);
		setMode('debug');
		if (document.activeElement === document.body)
			focused?.focus(); // a button that could not be used for a while
	}
}

/** The address in the form, or undefined: the stack's. */
async function memoryAddress() {
	const text = $('memory-at').value.trim();

	if (!text || text === '$rsp' || mode === 'empty')
		return undefined;
	const { answer } = await ask('command', { line: `print/x ${text}` });
	const number = /0x[0-9a-f]+/.exec(answer.output);
	return answer.ok && number ? BigInt(number[0]) : undefined;
}

async function showMemoryAt() {
	show(await ask('view', { memoryAt: await memoryAddress() }));
}

/** Everything of the last run goes. */
function forget() {
	timeline.clear();
	terminal.clear();
	registers = null;
	$('answers').textContent = '';
	showScreen($('screen'), null);
}

async function open(bytes, place) {
	recording = bytes;
	forget();
	setMode('exploring');
	say('Opening the recording');
	try {
		await ask('files', { given });
		const { end, cut } = await ask('open', { recording: bytes });

		timeline.end = Math.max(end.instructions, 1);
		const { complete } = await ask('explore');
		say(cut ? `The recording is not complete: ${cut}` : complete ? 'The whole recording has been replayed.' : 'Stopped.');
		show(await ask('view'));
		setMode('debug');
		if (place)
			await command(`goto ${place}`);
	} catch (error) {
		setMode('empty');
		say(error.files?.length ? `${error.message}. Drop the files here: ${error.files.join(', ')}` : error.message, true);
	}
}

async function addFiles(list) {
	let symbols = null;

	for (const file of list) {
		const head = new Uint8Array(await file.slice(0, 8).arrayBuffer()), magic = new TextDecoder().decode(head);

		if (magic === 'vcpurply') {
			url = null;
			await open(new Uint8Array(await file.arrayBuffer()));
			return;
		}
		given[file.name] = file;
		if (magic.startsWith('\x7fELF'))
			symbols = file.name;
	}
	await ask('files', { given });
	if (mode === 'debug' && symbols)
		await command(`symbols ${symbols}`);
	else if (mode === 'empty' && recording)
		await open(recording);
}

async function openUrl(address, place) {
	try {
		say(`Fetching ${address}`);
		const answer = await fetch(address);

		if (!answer.ok)
			throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
		url = address;
		await open(new Uint8Array(await answer.arrayBuffer()), place);
	} catch (error) {
		say(error.message, true);
	}
}

/** #recording=URL&at=PLACE */
function followLink() {
	const words = new URLSearchParams(location.hash.slice(1)), address = words.get('recording'), place = words.get('at');

	if (place && !/^([0-9]+(\+[0-9]+)?|end)$/.test(place))
		say('The link names no place.', true);
	else if (address && address !== url)
		openUrl(address, place);
	else if (place)
		command(`goto ${place}`);
}

// ---- live ----

/** The file that the browser keeps: the blocks of IMAGE that guests have written. */
function overlay(image) {
	return `${image.name}.overlay`;
}

/** The members of the configuration for the image of the form. */
function drive(image, keep) {
	const medium = $('medium').value, cdrom = medium === 'cdrom', bus = medium === 'floppy' ? 'floppy' : 'ide';
	const writes = cdrom ? '' : keep ? `,overlay=${overlay(image)}` : ',snapshot';

	return { drives: [{ bus, cdrom, image: image.name + writes }],
		boot: { floppy: 'a', cdrom: 'd', disk: 'c' }[medium] };
}

async function start(event) {
	const guest = guests[$('guest').selectedIndex], image = $('image').files[0];
	const keep = image && $('keep').checked && $('medium').value !== 'cdrom';
	const config = { ...guest.config, memory: Number($('memory').value) << 20 };

	event.preventDefault();
	$('try').open = false;
	given = {};
	for (const [name, file] of guest.files)
		given[name] = file instanceof Blob ? file : { url: new URL(file, location.href).href };
	if ($('append').value)
		config.append = $('append').value;
	if (image) {
		given[image.name] = image;
		Object.assign(config, drive(image, keep));
	}
	recording = url = null;
	forget();
	try {
		await ask('files', { given });
		await ask('start', { config, keep: keep ? [overlay(image)] : [] });
		setMode('live');
		say('Recording. Type in the terminal, or on the screen.');
		(guest.config.display === 'vga' ? $('screen') : terminal.terminal).focus();
	} catch (error) {
		setMode('empty');
		say(error.message, true);
	}
}

async function findGuests() {
	guests = bundle?.guests ?? [];
	for (const guest of bundle ? [] : await (await fetch('guests.json')).json()) {
		const here = await Promise.all(guest.files.map(([, file]) => fetch(file, { method: 'HEAD' }).then((a) => a.ok, () => false)));

		if (here.every(Boolean))
			guests.push(guest);
	}
	$('guest').replaceChildren(...guests.map(({ name }) => Object.assign(document.createElement('option'), { textContent: name })));
	$('guest').onchange = () => {
		const { config } = guests[$('guest').selectedIndex];

		$('append').value = config.append ?? '';
		$('memory').value = (config.memory ?? 128 << 20) >> 20;
	};
	$('demo').parentElement.hidden = !guests.length;
	if (guests.length)
		$('guest').onchange();
}

// ---- what the user does ----

$('file').onchange = () => addFiles($('file').files);
document.ondragover = (event) => {
	event.preventDefault();
	document.body.classList.add('over');
};
document.ondragleave = () => document.body.classList.remove('over');
document.ondrop = (event) => {
	event.preventDefault();
	document.body.classList.remove('over');
	addFiles(event.dataTransfer.files);
};
for (const button of document.querySelectorAll('[data-line]'))
	button.onclick = () => command(button.dataset.line);
$('stop').onclick = () => {
	URL.revokeObjectURL(goes); // while a command runs, the Worker hears nothing, but looks for this
	ask('cancel');
};
$('goto').onsubmit = (event) => {
	event.preventDefault();
	command(`goto ${$('place').value.replace(/[\s,]/g, '')}`);
};
$('find').onsubmit = (event) => {
	const found = terminal.find($('text').value), here = last?.place.instructions ?? 0;
	const at = event.submitter?.name === 'previous' ? found.findLast((place) => place < here) :
		found.find((place) => place > here);

	event.preventDefault();
	timeline.found = found;
	timeline.draw();
	$('found').textContent = `text found: ${found.length}`;
	if (at === undefined)
		say('This text is not there.', true);
	else
		command(`goto ${at}`);
};
$('memory-form').onsubmit = (event) => {
	event.preventDefault();
	showMemoryAt();
};
$('who').onclick = () => command(`last-write ${$('memory-at').value} 8`);
$('walk').onclick = () => command(`page ${$('memory-at').value}`);
$('command').onsubmit = (event) => {
	event.preventDefault();
	command($('line').value);
	$('line').value = '';
};
$('line').onkeydown = async (event) => {
	if (event.key !== 'Tab' || event.shiftKey || !$('line').value || mode !== 'debug')
		return;
	event.preventDefault();
	const line = $('line').value, before = line.slice(0, line.lastIndexOf(' ') + 1), words = await ask('complete', { line });

	if (words.length === 1)
		$('line').value = `${before}${words[0]} `;
	else if (words.length)
		print(`${words.join('  ')}\n`);
};
document.addEventListener('keydown', (event) => {
	const line = { F5: ['continue', 'reverse-continue'], F10: ['nexti', 'reverse-nexti'], F11: ['stepi', 'reverse-stepi'] }[event.key];

	if (!line || mode !== 'debug' || event.target === $('screen'))
		return;
	event.preventDefault();
	command(line[+event.shiftKey]);
});

const held = new Set(); // keys of the guest

/** A key of the guest goes down or up. False: it has no such key, or is not there. */
function press(code, up) {
	const data = scanCode(code, up);

	if (mode !== 'live' || !data)
		return false;
	if (up)
		held.delete(code);
	else
		held.add(code);
	ask('input', { channel: 'keyboard', data }).catch((error) => say(error.message, true));
	return true;
}

for (const type of ['keydown', 'keyup'])
	$('screen').addEventListener(type, (event) => {
		if (!(event.key === 'Tab' && event.shiftKey) && press(event.code, type === 'keyup'))
			event.preventDefault();
	});
$('screen').onblur = () => {
	for (const code of held)
		press(code, true);
};
$('start').onsubmit = start;
$('demo').onclick = (event) => {
	$('guest').selectedIndex = 0;
	$('guest').onchange();
	start(event);
};
$('image').onchange = () => {
	const [image] = $('image').files;

	if (image)
		$('medium').value = image.size <= 2949120 ? 'floppy' : /\.iso$/i.test(image.name) ? 'cdrom' : 'disk';
};
$('forget').onclick = async () => {
	const [image] = $('image').files;

	try {
		if (!image)
			say('Choose the image first.');
		else if (await ask('forget', { name: overlay(image) }))
			say(`The blocks that guests wrote to ${image.name} are forgotten.`);
		else
			say(`No guest has written to ${image.name}.`);
	} catch (error) {
		say(error.message, true);
	}
};
$('pause').onclick = () => {
	const on = $('pause').getAttribute('aria-pressed') !== 'true';

	$('pause').setAttribute('aria-pressed', on);
	ask('pause', { on });
};
$('finish').onclick = async () => {
	await open(await ask('finish'));
	$('timeline').focus(); // the button has gone
};
$('download').onclick = () => {
	const link = document.createElement('a');

	link.href = URL.createObjectURL(new Blob([recording]));
	link.download = 'recording.vrr';
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
$('verify').onclick = async () => {
	setMode('exploring');
	try {
		const { checked, divergence, complete } = await ask('verify', { recording });

		say(divergence ?? (complete ? `Verified: ${checked} checkpoints are equal.` : 'Stopped.'), !!divergence);
	} catch (error) {
		say(error.message, true);
	}
	setMode('debug');
};
$('link').onclick = async () => {
	const words = new URLSearchParams();

	if (url)
		words.set('recording', url);
	words.set('at', last.place.steps ? `${last.place.instructions}+${last.place.steps}` : last.place.instructions);
	history.replaceState(null, '', `#${words}`);
	try {
		await navigator.clipboard.writeText(location.href);
		say('The link has been copied.');
	} catch {
		say('The link is in the address bar.');
	}
};
onhashchange = followLink;

setMode('empty');
if (bundle)
	ask('module', { modules: bundle.modules });
findGuests().catch(() => $('try').hidden = $('demo').parentElement.hidden = true);
followLink();
