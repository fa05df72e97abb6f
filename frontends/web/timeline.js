// SPDX-License-Identifier: MIT
// A run from its start to its end: how many interrupts, faults and changes of CR3 there were in each stretch, where the
// guest wrote to its serial port, where a text is, and where the machine stands. It is a slider for mouse, keys and screen
// readers.

const ROWS = [['interrupts', '--interrupts'], ['faults', '--faults'], ['switches', '--switches']];
const OUTPUT_ROW = 14; // pixels

export function thousands(n) {
	return Math.round(n).toLocaleString('en').replaceAll(',', '\u2009');
}

export function seconds(ns) {
	return ns < 1e6 ? `${(ns / 1e3).toFixed(1)} µs` : ns < 1e9 ? `${(ns / 1e6).toFixed(2)} ms` : `${(ns / 1e9).toFixed(4)} s`;
}

export class Timeline {
	/** GO is called with an instruction count. */
	constructor(canvas, go) {
		this.canvas = canvas;
		this.go = go;
		this.clear();
		new ResizeObserver(() => this.draw()).observe(canvas);
		canvas.addEventListener('pointerdown', (event) => {
			canvas.setPointerCapture(event.pointerId);
			this.dragged = this.at(event);
			this.draw();
		});
		canvas.addEventListener('pointermove', (event) => {
			if (this.dragged !== null)
				this.dragged = this.at(event);
			canvas.title = this.describe(this.at(event));
			this.draw();
		});
		canvas.addEventListener('pointerup', () => {
			const to = this.dragged;

			this.dragged = null;
			if (to !== null)
				this.go(to);
		});
		canvas.addEventListener('keydown', (event) => this.key(event));
	}

	clear() {
		this.end = 0;
		this.place = { instructions: 0, ns: 0 };
		this.known = null;   // of Debugger.timeline()
		this.output = [];    // { at, data }
		this.found = [];     // instruction counts of a text that was looked for
		this.times = [];     // places, in order
		this.dragged = null;
		this.draw();
	}

	key(event) {
		const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
		const to = event.key === 'Home' ? 0 : event.key === 'End' ? this.end :
			step && this.place.instructions + step * Math.max(1, Math.floor(this.end / 200));

		if (to === undefined)
			return;
		event.preventDefault();
		this.go(Math.min(this.end, Math.max(0, to)));
	}

	at(event) {
		const box = this.canvas.getBoundingClientRect();
		return Math.round(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.end);
	}

	/** Virtual time at an instruction, from what places are known. */
	time(instructions) {
		const after = this.times.findIndex((place) => place.instructions >= instructions);
		const a = this.times[after - 1] ?? { instructions: 0, ns: 0 }, b = this.times[after] ?? this.times.at(-1) ?? a;

		if (b.instructions <= a.instructions)
			return b.ns;
		return a.ns + (b.ns - a.ns) * (instructions - a.instructions) / (b.instructions - a.instructions);
	}

	describe(instructions) {
		const near = this.output.findLast((piece) => piece.at <= instructions);
		const text = near ? new TextDecoder().decode(near.data).trim() : '';

		return `instruction ${thousands(instructions)}, about ${seconds(this.time(instructions))}${text ? `\n${text}` : ''}`;
	}

	set(place) {
		this.place = place;
		this.canvas.setAttribute('aria-valuemax', this.end);
		this.canvas.setAttribute('aria-valuenow', place.instructions);
		this.canvas.setAttribute('aria-valuetext', `instruction ${thousands(place.instructions)}, ${seconds(place.ns)}`);
		this.draw();
	}

	draw() {
		const { canvas } = this, style = getComputedStyle(canvas), scale = devicePixelRatio;
		const width = canvas.clientWidth, height = canvas.clientHeight - OUTPUT_ROW;
		const g = canvas.getContext('2d');

		canvas.width = width * scale;
		canvas.height = canvas.clientHeight * scale;
		g.scale(scale, scale);
		if (!this.end)
			return;
		if (this.known)
			this.drawCounts(g, style, width, height);
		g.fillStyle = style.getPropertyValue('--output');
		for (const { at } of this.output)
			g.fillRect(at / this.end * width, height + 3, 1, OUTPUT_ROW - 4);
		g.fillStyle = style.getPropertyValue('--found');
		for (const at of this.found)
			g.fillRect(at / this.end * width - 1, height, 3, OUTPUT_ROW);
		const x = (this.dragged ?? this.place.instructions) / this.end * width;
		g.fillStyle = style.getPropertyValue('--cursor');
		g.fillRect(Math.min(width - 2, x - 1), 0, 2, canvas.clientHeight);
	}

	drawCounts(g, style, width, height) {
		const { counts, fields, instructions } = this.known, n = fields.length, row = height / ROWS.length;

		ROWS.forEach(([field, color], i) => {
			const f = fields.indexOf(field);
			let most = 1;

			for (let k = f; k < counts.length; k += n)
				most = Math.max(most, counts[k]);
			g.fillStyle = style.getPropertyValue(color);
			for (let k = 0; k * n < counts.length; k++) {
				const count = counts[k * n + f], high = count ? Math.max(2, Math.log1p(count) / Math.log1p(most) * (row - 2)) : 0;
				const x = k * instructions / this.end * width;

				g.fillRect(x, (i + 1) * row - high, Math.max(1, instructions / this.end * width), high);
			}
		});
	}
}
