// SPDX-License-Identifier: MIT
// The serial terminal as it was at any place of a run: a log of output, and xterm.js, which shows a beginning of it.
import { Terminal } from './xterm.mjs';

export class SerialTerminal {
	/** TYPED is called with what is typed, ANYONE_READS for whether a guest reads it: Tab is the page's if not. */
	constructor(into, typed, anyoneReads) {
		this.log = [];   // { at, data } in order
		this.shown = 0;  // pieces
		this.terminal = new Terminal({ cols: 80, rows: 24, convertEol: false, scrollback: 5000, fontSize: 13, screenReaderMode: true });
		this.terminal.open(into);
		this.terminal.onData(typed);
		this.terminal.attachCustomKeyEventHandler((event) => event.key !== 'Tab' || (anyoneReads() && !event.shiftKey));
	}
	/** Behind what is still to be written: RIS. */
	#reset() { this.terminal.write('\x1bc'); }
	clear() {
		this.log = [];
		this.shown = 0;
		this.#reset();
	}
	add(pieces) { this.log.push(...pieces); }
	/** Show all that was written before INSTRUCTIONS. */
	show(instructions = Infinity) {
		let to = this.shown;

		while (to < this.log.length && this.log[to].at < instructions)
			to++;
		while (to > 0 && this.log[to - 1].at >= instructions)
			to--;
		if (to < this.shown) {
			this.#reset();
			this.shown = 0;
		}
		for (; this.shown < to; this.shown++)
			this.terminal.write(this.log[this.shown].data);
	}
	/** The instruction counts at which TEXT was complete, in order. */
	find(text) {
		const wanted = text.toLowerCase(), places = [];
		let all = '';

		for (const { at, data } of this.log) {
			const from = Math.max(0, all.length - wanted.length + 1);

			all += new TextDecoder('latin1').decode(data).toLowerCase();
			if (wanted && all.includes(wanted, from))
				places.push(at + 1);
		}
		return places;
	}
}
