// SPDX-License-Identifier: MIT
// What the page shows of one place: text nodes only, since names and bytes come from guests and files.

const MAIN = /^(r(ax|cx|dx|bx|sp|bp|si|di|8|9|1[0-5])|rip|rflags|[cdefgs]s|cr[0-48]|efer|[fg]s_base)$/;

export function element(name, properties = {}, ...children) {
	const e = document.createElement(name);

	for (const [key, value] of Object.entries(properties))
		if (key.startsWith('aria-') || key === 'role' || key.startsWith('data-'))
			e.setAttribute(key, value);
		else
			e[key] = value;
	e.append(...children);
	return e;
}

const hex = (n, digits) => BigInt.asUintN(64, n).toString(16).padStart(digits, '0');

/** Registers as { name: value } or a list; those that differ from BEFORE stand out. */
export function showRegisters(into, registers, before, width, act) {
	const rows = Object.entries(registers).filter(([name]) => MAIN.test(name));

	into.replaceChildren(...rows.map(([name, value]) => element('button', {
		className: before && before[name] !== value ? 'register changed' : 'register', type: 'button',
		title: `show memory at ${name}`, onclick: () => act(`$${name}`),
	}, element('b', {}, name), hex(BigInt(value), /^[c-gs]s$/.test(name) ? 4 : width))));
}

/** FILE:LINE without the folders, or ''. */
const lineOf = ({ file, line }) => file ? `${file.slice(file.lastIndexOf('/') + 1)}:${line}` : '';
const nameOf = ({ symbol, offset }) => symbol ? `${symbol}${offset ? `+${offset}` : ''}` : '';

/** Where the view is, by names: FUNCTION+OFFSET, FILE:LINE, as far as they are known. */
export function placeName({ code, pc }) {
	const here = code.find(({ address }) => BigInt(address) === BigInt(pc));

	return here ? [nameOf(here), lineOf(here)].filter(Boolean).join(', ') : '';
}

export function showCode(into, code, pc, stops, toggle) {
	const broken = new Set(stops.filter((stop) => stop.address).map((stop) => BigInt(stop.address)));

	into.replaceChildren(...code.map((row, i) => {
		const { address, text } = row, line = lineOf(row);
		const has = broken.has(BigInt(address)), here = BigInt(address) === BigInt(pc);

		return element('li', { className: `${has ? 'broken ' : ''}${here ? 'here' : ''}`, ...here && { 'aria-current': 'step' } },
			element('button', { type: 'button', className: 'stop', 'aria-pressed': has, 'aria-label': `breakpoint at ${address}`,
				onclick: () => toggle(address, has) }, has ? '●' : '○'),
			element('span', { className: 'address' }, hex(BigInt(address), 8)),
			element('span', { className: 'text' }, text),
			element('span', { className: 'symbol' }, nameOf(row)),
			element('span', { className: 'line' }, i && lineOf(code[i - 1]) === line ? '' : line));
	}));
}

export function showMemory(into, { at, bytes }) {
	const lines = [];

	for (let i = 0; i < bytes.length; i += 16) {
		const row = [...bytes.subarray(i, i + 16)];

		lines.push(`${hex(at + BigInt(i), 12)}  ${row.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(47)}  ` +
			row.map((b) => b >= 32 && b < 127 ? String.fromCharCode(b) : '.').join(''));
	}
	into.textContent = lines.join('\n') || 'there is no memory at this address';
}

export function showFrames(into, frames) {
	into.replaceChildren(...frames.map((f) => element('li', {}, `${f.pc} ${f.symbol ?? f.function ?? ''} ${lineOf(f)}`)));
}

export function showStops(into, stops, remove) {
	into.replaceChildren(...stops.map((stop) => element('li', {}, `${stop.id}: ${stop.kind} ${stop.what}, ${stop.hits} hits `,
		element('button', { type: 'button', onclick: () => remove(stop.id) }, 'delete'))));
}

export function showScreen(canvas, screen) {
	canvas.hidden = !screen;
	if (!screen)
		return;
	canvas.width = screen.width;
	canvas.height = screen.height;
	canvas.getContext('2d').putImageData(new ImageData(screen.rgba, screen.width, screen.height), 0, 0);
}
