// SPDX-License-Identifier: MIT
// Stitched blocks (cpu/engine/stitch_wasm.c): functions of hot blocks, whose bodies are copies of the module's own
// handlers, one behind the other. What an operation says, and where it is, are constants there; a tail call of the
// next handler is a branch to its copy. The compiler of the JavaScript engine does the rest. A function looks like this:
//
//     loop
//       block block block             a block for each copy
//         br_table                    by the operation: the first, or one behind what was done by a handler elsewhere
//       end  copy of the first body   ... br to the end of the next block
//       end  copy of the second       ... br to the loop, or a tail call: whichever the operation is that it goes to
//       end  ...
//
// Copies are made while the bytes of a body are read once, with a stack of what is known of values: the address of the
// operation, that of the processor, or a number, each with a constant added.

/** Of struct op (cpu/op.h): its size, and members that change while it exists. */
const OP_BYTES = 32, OP_BYTES_SHIFT = 5, RUN = 0, DST = 4, COST = 4, TARGET = 24;
/** Parameters of a handler: the processor, the operation, the budget, the last value. */
const C = 0, O = 1, N = 2, LAST = 3;
const I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c;
const BATCH = 48;          // blocks in a module
const HANDLER_BYTES = 1200; // bytes of a handler that is copied
const OLDEST = 20;         // ms that a block waits for others
const TABLE_GROWS = 2048;

class Reader {
	constructor(bytes, at = 0) {
		this.bytes = bytes;
		this.at = at;
	}
	byte() { return this.bytes[this.at++]; }
	unsigned() {
		let value = 0, shift = 0, byte;

		do {
			byte = this.bytes[this.at++];
			value += (byte & 0x7f) * 2 ** shift;
			shift += 7;
		} while (byte & 0x80);
		return value;
	}
	skip() {
		while (this.bytes[this.at++] & 0x80)
			;
	}
	signed32() {
		let value = 0, shift = 0, byte;

		do {
			byte = this.bytes[this.at++];
			value |= (byte & 0x7f) << shift;
			shift += 7;
		} while (byte & 0x80);
		return shift < 32 && byte & 0x40 ? value | -1 << shift : value;
	}
	name() {
		const length = this.unsigned();

		this.at += length;
		return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
	}
}

/** Bytes of a module. */
class Writer {
	constructor(size = 256) {
		this.bytes = new Uint8Array(size);
		this.length = 0;
	}
	room(more) {
		if (this.length + more > this.bytes.length) {
			const bytes = new Uint8Array(2 * this.bytes.length + more);

			bytes.set(this.bytes.subarray(0, this.length));
			this.bytes = bytes;
		}
	}
	put(...bytes) {
		this.room(bytes.length);
		for (let i = 0; i < bytes.length; i++)
			this.bytes[this.length++] = bytes[i];
		return this;
	}
	copy(bytes, from = 0, to = bytes.length) {
		this.room(to - from);
		if (to - from > 64) {
			this.bytes.set(bytes.subarray(from, to), this.length);
			this.length += to - from;
		} else {
			for (let i = from; i < to; i++)
				this.bytes[this.length++] = bytes[i];
		}
		return this;
	}
	unsigned(value) {
		this.room(5);
		while (value > 0x7f) {
			this.bytes[this.length++] = value & 0x7f | 0x80;
			value >>>= 7;
		}
		this.bytes[this.length++] = value;
		return this;
	}
	/** A number of 32 bits. */
	signed(value) {
		this.room(5);
		for (;;) {
			const byte = value & 0x7f;

			value >>= 7;
			if (value === (byte & 0x40 ? -1 : 0)) {
				this.bytes[this.length++] = byte;
				return this;
			}
			this.bytes[this.length++] = byte | 0x80;
		}
	}
	/** A BigInt of 64 bits, or a number of 32. */
	signed64(value) {
		if (typeof value === 'number' || BigInt.asIntN(32, value) === value)
			return this.signed(Number(value));
		this.room(10);
		for (;;) {
			const byte = Number(value & 0x7fn);

			value >>= 7n;
			if (value === (byte & 0x40 ? -1n : 0n)) {
				this.bytes[this.length++] = byte;
				return this;
			}
			this.bytes[this.length++] = byte | 0x80;
		}
	}
	name(text) { return this.unsigned(text.length).copy([...text].map((c) => c.charCodeAt(0))); }
	sized(writer) { return this.unsigned(writer.length).copy(writer.bytes, 0, writer.length); }
	get whole() { return this.bytes.subarray(0, this.length); }
}

/** Operands that a numeric instruction takes: 1 or 2; it leaves one. */
function operands(code) {
	if (code === 0x45 || code === 0x50 || code >= 0x67 && code <= 0x69 || code >= 0x79 && code <= 0x7b ||
		code >= 0x8b && code <= 0x91 || code >= 0x99 && code <= 0x9f || code >= 0xa7)
		return 1;
	return 2;
}

/** What the function F is exported as. */
const exportName = (f) => `f${f.toString(36)}`;

/** A module: where its parts are. */
export class Code {
	constructor(bytes) {
		const r = new Reader(bytes, 8);

		this.bytes = bytes;
		this.imported = 0;
		this.imports = new Set();
		this.kinds = [];     // types of the functions that are not imported
		this.slots = [];     // functions by their number in the table
		this.bodies = [];    // [from, to] by function
		while (r.at < bytes.length) {
			const start = r.at, id = r.byte(), length = r.unsigned(), end = r.at + length;

			this.section(id, r, start, end);
			r.at = end;
		}
	}

	section(id, r, start, end) {
		if (id === 1) {
			this.types = this.bytes.slice(start, end);
			this.readTypes(r);
		} else if (id === 2) {
			for (let n = r.unsigned(); n > 0; n--) {
				r.name();
				this.imports.add(r.name());
				if (r.byte())
					throw new Error('this module imports more than functions');
				r.skip();
				this.imported++;
			}
		} else if (id === 3) {
			for (let n = r.unsigned(); n > 0; n--)
				this.kinds.push(r.unsigned());
		} else if (id === 7) {
			this.exportsAt = [start, r.at, end];
		} else if (id === 9) {
			this.readElements(r);
		} else if (id === 10) {
			for (let n = r.unsigned(); n > 0; n--) {
				const size = r.unsigned();

				this.bodies.push([r.at, r.at + size]);
				r.at += size;
			}
		}
	}

	/** The parameters and results of each type: counts. */
	readTypes(r) {
		this.arity = [];
		for (let n = r.unsigned(); n > 0; n--) {
			const counts = [];

			r.byte();
			for (let i = 0; i < 2; i++) {
				const count = r.unsigned();

				r.at += count;
				counts.push(count);
			}
			this.arity.push(counts);
		}
	}

	readElements(r) {
		for (let n = r.unsigned(); n > 0; n--) {
			if (r.unsigned()) // not: active, of table 0
				return;
			r.byte();
			let slot = r.signed32();

			r.byte();
			for (let count = r.unsigned(); count > 0; count--)
				this.slots[slot++] = r.unsigned();
		}
	}

	/** Handlers that call another one otherwise than by a tail call. There should be none: each takes a part of the stack. */
	nested() {
		const counts = new Map(), kindOf = (f) => this.kinds[f - this.imported];

		for (const f of this.slots)
			counts.set(kindOf(f), (counts.get(kindOf(f)) ?? 0) + 1);
		const [[kind]] = [...counts].sort(([, a], [, b]) => b - a);

		return this.slots.filter((f) => kindOf(f) === kind && !parse(this, kind, this.bodies[f - this.imported]));
	}

	/** Does it make stitched blocks? */
	get stitches() { return this.imports.has('stitch_make'); }

	/** The module, which exports all of its functions as well. */
	open() {
		const [start, , end] = this.exportsAt, r = new Reader(this.bytes, this.exportsAt[1]), count = r.unsigned();
		const more = new Writer(1 << 17).unsigned(count + this.bodies.length).copy(this.bytes, r.at, end);

		for (let f = this.imported; f < this.imported + this.bodies.length; f++)
			more.name(exportName(f)).put(0).unsigned(f);
		return new Writer(this.bytes.length + more.length + 8).copy(this.bytes, 0, start).put(7).sized(more)
			.copy(this.bytes, end).whole;
	}
}

/** Instructions of WebAssembly. */
const W = {
	BLOCK: 0x02, LOOP: 0x03, IF: 0x04, ELSE: 0x05, END: 0x0b, BR: 0x0c, BR_IF: 0x0d, BR_TABLE: 0x0e,
	RETURN: 0x0f, CALL: 0x10, CALL_INDIRECT: 0x11, RETURN_CALL: 0x12, RETURN_CALL_INDIRECT: 0x13, DROP: 0x1a,
	SELECT: 0x1b, GET: 0x20, SET: 0x21, TEE: 0x22, GLOBAL_GET: 0x23, GLOBAL_SET: 0x24, I32_CONST: 0x41,
	I64_CONST: 0x42, F32_CONST: 0x43, F64_CONST: 0x44, I32_EQ: 0x46, I32_ADD: 0x6a, I32_SUB: 0x6b,
	I32_SHR_U: 0x76, I32_LOAD: 0x28, I64_LOAD: 0x29, F32_LOAD: 0x2a, F64_LOAD: 0x2b, I32_LOAD8_S: 0x2c,
	I32_LOAD8_U: 0x2d, I32_LOAD16_S: 0x2e, I32_LOAD16_U: 0x2f, I64_LOAD8_S: 0x30, I64_LOAD8_U: 0x31,
	I64_LOAD16_S: 0x32, I64_LOAD16_U: 0x33, I64_LOAD32_S: 0x34, I64_LOAD32_U: 0x35, I32_STORE: 0x36,
	I64_STORE32: 0x3e, MEMORY_SIZE: 0x3f, NOTHING: 0x40, MORE: 0xfc, VECTOR: 0xfd,
};

/**
 * The body of a handler as instructions { code, a, b, from, to }, FROM and TO being its bytes, and what copies must know of it; null:
 * it cannot be copied. KIND is the type of handlers: one that calls another, and is still there when that returns, is none
 * to be copied, either.
 */
function parse(code, kind, [from, to]) {
	const r = new Reader(code.bytes, from), locals = [], list = [], sets = [];

	for (let n = r.unsigned(); n > 0; n--) {
		const count = r.unsigned(), type = r.byte();

		for (let i = 0; i < count; i++)
			locals.push(type);
	}
	while (r.at < to) {
		const i = { from: r.at, code: r.byte(), a: 0, b: 0, to: 0 }, op = i.code;

		if (op === W.BLOCK || op === W.LOOP || op === W.IF) {
			r.skip();
		} else if (op === W.BR || op === W.BR_IF || op === W.CALL || op === W.RETURN_CALL || op >= W.GET && op <= W.GLOBAL_SET) {
			i.a = r.unsigned();
			if (op === W.SET || op === W.TEE)
				sets[i.a] = (sets[i.a] ?? []).concat(list.length);
			if ((op === W.GLOBAL_GET || op === W.GLOBAL_SET) && i.a)
				return null;
		} else if (op === W.BR_TABLE) {
			i.a = [];
			for (let n = r.unsigned() + 1; n > 0; n--)
				i.a.push(r.unsigned());
		} else if (op === W.CALL_INDIRECT || op === W.RETURN_CALL_INDIRECT) {
			i.a = r.unsigned();
			i.b = r.unsigned();
		} else if (op >= W.I32_LOAD && op <= W.I64_STORE32) {
			i.a = r.unsigned();
			i.b = r.unsigned();
		} else if (op === W.I32_CONST) {
			i.a = r.signed32();
		} else if (op === W.I64_CONST) {
			r.skip();
		} else if (op === W.F32_CONST) {
			r.at += 4;
		} else if (op === W.F64_CONST) {
			r.at += 8;
		} else if (op === W.MEMORY_SIZE || op === W.NOTHING) {
			r.skip();
		} else if (op === W.MORE) {
			const sub = r.unsigned();

			if (sub === 10)
				r.at += 2;
			else if (sub === 11)
				r.at += 1;
			else if (sub > 7)
				return null;
		} else if (op === W.VECTOR) {
			const sub = r.unsigned();

			if (sub <= 11 || sub >= 92 && sub <= 93 || sub >= 84 && sub <= 91) {
				r.skip();
				r.skip();
				if (sub >= 84 && sub <= 91)
					r.at++;
			} else if (sub === 12 || sub === 13) {
				r.at += 16;
			} else if (sub >= 21 && sub <= 34) {
				r.at++;
			}
		} else if (!(op <= 0x01 || op === W.ELSE || op === W.END || op === W.RETURN || op === W.DROP || op === W.SELECT || op >= 0x45 && op <= 0xc4)) {
			return null;
		}
		if (op === W.CALL_INDIRECT && i.a === kind || op === W.CALL && code.kinds[i.a - code.imported] === kind)
			return null;
		i.to = r.at;
		list.push(i);
	}
	return { locals, list, sets };
}

/** Instructions that only make a value. */
const QUIET = new Set([W.GET, W.SELECT, W.GLOBAL_GET]);
for (let op = W.I32_CONST; op <= 0xc4; op++)
	QUIET.add(op);
for (let op = W.I32_LOAD; op <= W.I64_LOAD32_U; op++)
	QUIET.add(op);

/** Kinds of values: unknown, an address in this operation, in the processor, a number; unknown, loaded from an operation. */
const UNKNOWN = 0, OPERATION = 1, PROCESSOR = 2, NUMBER = 3, LOADED = 4;

/** A value on the stack: its instructions begin at START (-1: they do more than make it), and it is KIND + V. */
class Known {
	constructor(start, kind, v) {
		this.start = start;
		this.kind = kind;
		this.v = v;
	}
}

/** The function of one block: COUNT operations from FIRST on. */
class BlockFunction {
	constructor(stitcher, first, count) {
		this.s = stitcher;
		this.view = stitcher.view;
		this.first = first;
		this.count = count;
		this.types = [];        // of the locals behind the parameters
		this.pools = new Map(); // locals by their type
		this.parameters = [];
		this.out = new Writer(4096);
	}

	local(type) {
		this.types.push(type);
		return 3 + this.types.length;
	}

	address(index) { return this.first + (index + 1) * OP_BYTES; }

	make() {
		const bodies = [], wanted = new Set([0]);

		for (let i = 0; i < this.count; i++) {
			if (!wanted.has(i))
				continue;
			const body = this.s.handler(this.view.getUint32(this.address(i) + RUN, true));

			if (!body) {
				if (!i)
					return null;
				continue;
			}
			bodies.push({ index: i, body });
			wanted.add(i + 1).add(i + 2); // some do what the operation behind them says as well
		}
		this.bodies = bodies;
		this.place = new Map(bodies.map(({ index }, k) => [index, k]));
		this.slot = this.local(I32);  // of a handler that is called
		const out = this.out;

		out.put(W.LOOP, W.NOTHING); // loop: the block's beginning
		for (let k = 0; k < bodies.length; k++)
			out.put(W.BLOCK, W.NOTHING);
		// at the first operation, or behind one that was done elsewhere
		out.put(W.GET, O, W.I32_CONST).signed(this.first).put(W.I32_EQ, W.BR_IF, 0);
		out.put(W.GET, O, W.I32_CONST).signed(this.first).put(W.I32_SUB, W.I32_CONST, OP_BYTES_SHIFT, W.I32_SHR_U);
		out.put(W.BR_TABLE).unsigned(this.count + 1);
		for (let i = -1; i <= this.count; i++)
			out.unsigned(this.place.get(i) ?? 0);
		for (let k = 0; k < bodies.length; k++) {
			out.put(W.END);
			this.copy(k);
		}
		out.put(W.END, 0x00, W.END); // end of the loop, which is left by returns; end of the function
		const head = new Writer(64).unsigned(this.types.length);

		for (const type of this.types)
			head.put(1, type);
		return new Writer(out.length + 64).unsigned(head.length + out.length).copy(head.whole).copy(out.whole);
	}

	/** Labels that a branch out of body K, at DEPTH, passes on its way to body TO; or to the block's beginning. */
	labels(k, depth, to) { return depth + 1 + (to === undefined ? this.bodies.length - 1 - k : to - k - 1); }

	copy(k) {
		const { body, index } = this.bodies[k], { list, locals, sets } = body, out = this.out, bytes = this.s.code.bytes;
		const here = this.address(index), map = [C, O, N, LAST, ...this.scratch(locals)], known = new Map(), frames = [];
		let depth = 0, stack = [], now = new Map(), effect = 0; // where the last instruction ends that does more than make a value

		this.clear(body, map);
		for (const [local, kind] of [[C, PROCESSOR], [O, OPERATION]])
			if (sets[local]) {
				map[local] = this.scratchParameter(local);
				now.set(local, { kind, v: 0, only: true });
			} else {
				known.set(local, { kind, v: 0 });
			}
		const push = (kind = UNKNOWN, v = 0, start = out.length) => stack.push(new Known(start, kind, v));
		const pop = () => stack.pop() ?? new Known(-1, UNKNOWN, 0);
		const drop = (n) => { for (; n > 0; n--) stack.pop(); };
		const constant = (value) => {
			push(NUMBER, value);
			out.put(W.I32_CONST).signed(value);
		};
		// what only we know becomes a local's value, where paths part or meet
		const settle = () => {
			for (const [local, value] of now)
				if (value.only) {
					this.emit(value, here);
					out.put(W.SET).unsigned(map[local]);
					value.only = false;
				}
		};
		const unset = (all, locals) => new Map([...all].filter(([local]) => !locals.has(local)));

		out.put(W.BLOCK, W.NOTHING); // block: what leaves the handler's function leaves this one
		for (let p = 0; p < list.length - 1; p++) {
			const i = list[p], op = i.code, start = out.length;
			const raw = () => out.copy(bytes, i.from, i.to);

			if (op === W.GET) {
				const value = known.get(i.a) ?? now.get(i.a);

				push(value?.kind, value?.v);
				if (value) {
					this.emit(value, here);
				} else {
					out.put(W.GET).unsigned(map[i.a]);
				}
			} else if (op === W.SET || op === W.TEE) {
				const value = pop(), sure = value.start >= effect && value.kind && value.kind !== LOADED;

				for (const frame of frames)
					frame.sets.add(i.a);
				now.delete(i.a);
				if (sure) {
					(body.once.has(i.a) ? known : now).set(i.a, { kind: value.kind, v: value.v, only: true });
					if (op === W.SET)
						out.length = value.start;
					else
						stack.push(value);
				} else {
					if (op === W.TEE)
						push(UNKNOWN, 0, -1);
					out.put(op).unsigned(map[i.a]);
				}
			} else if (op === W.I32_CONST) {
				constant(i.a);
			} else if (op === W.I32_ADD) {
				const b = pop(), a = pop(), [base, number] = b.kind === NUMBER ? [a, b] : [b, a];

				if (number.kind === NUMBER && base.kind && base.kind !== LOADED && a.start >= effect && b.start >= a.start) {
					const sum = { kind: base.kind, v: base.v + number.v | 0 };

					out.length = a.start;
					push(sum.kind, sum.v);
					this.emit(sum, here);
				} else {
					push(UNKNOWN, 0, a.start);
					raw();
				}
			} else if (op >= W.I32_LOAD && op <= W.I64_LOAD32_U) {
				const a = pop(), value = a.kind === OPERATION && a.start >= effect ? this.member(op, here, a.v + i.b) : undefined;

				if (value !== undefined) {
					out.length = a.start;
					if (op === W.I64_LOAD || op >= W.I64_LOAD8_S) {
						push();
						out.put(W.I64_CONST).signed64(value);
					} else {
						constant(Number(value) | 0);
					}
				} else if (a.kind === PROCESSOR && a.v >= 0 && a.start >= effect) {
					out.length = a.start;
					push();
					out.put(W.GET, C, op, 0).unsigned(a.v + i.b);
				} else {
					push(a.kind === OPERATION ? LOADED : UNKNOWN, 0, a.start);
					raw();
				}
			} else if (op >= W.I32_STORE && op <= W.I64_STORE32) {
				drop(2);
				raw();
			} else if (op >= 0x45 && op <= 0xc4) {
				const n = operands(op);
				let a;

				for (let m = 0; m < n; m++)
					a = pop();
				push(UNKNOWN, 0, a.start);
				raw();
			} else if (op === W.DROP) {
				pop();
				raw();
			} else if (op === W.SELECT) {
				drop(3);
				push(UNKNOWN, 0, -1);
				raw();
			} else if (op >= W.I64_CONST && op <= W.F64_CONST || op === W.GLOBAL_GET) {
				push();
				raw();
			} else if (op === W.GLOBAL_SET) {
				pop();
				raw();
			} else if (op === W.BLOCK || op === W.LOOP || op === W.IF) {
				settle();
				if (op === W.LOOP)
					now = unset(now, new Set(sets.flatMap((at, local) => at.at(-1) > p ? [local] : [])));
				frames.push({ now: new Map([...now].map(([local, value]) => [local, { ...value }])), sets: new Set() });
				depth++;
				stack = [];
				raw();
			} else if (op === W.END) {
				const frame = frames.pop();

				settle();
				now = unset(frame.now, frame.sets);
				depth--;
				stack = [];
				raw();
			} else if (op === W.ELSE) {
				settle();
				now = unset(frames.at(-1).now, frames.at(-1).sets);
				stack = [];
				raw();
			} else if (op === W.BR || op === W.BR_IF || op === W.BR_TABLE) {
				settle();
				stack = [];
				raw();
			} else if (op === W.RETURN) {
				stack = [];
				raw();
			} else if (op === W.CALL) {
				const [takes, gives] = this.s.arityOf(i.a);

				drop(takes);
				for (let m = 0; m < gives; m++)
					push(UNKNOWN, 0, -1);
				out.put(W.CALL).unsigned(this.s.imported(i.a));
			} else if (op === W.CALL_INDIRECT) {
				const [takes, gives] = this.s.code.arity[i.a];

				drop(takes + 1);
				for (let m = 0; m < gives; m++)
					push(UNKNOWN, 0, -1);
				raw();
			} else if (op === W.RETURN_CALL) {
				stack = [];
				out.put(W.RETURN_CALL).unsigned(this.s.imported(i.a));
			} else if (op === W.RETURN_CALL_INDIRECT) {
				this.leave(k, depth, stack, effect);
				stack = [];
			} else {
				stack = [];
				raw();
			}
			if (!QUIET.has(op) && out.length > start)
				effect = out.length;
		}
		out.put(W.RETURN, W.END, W.RETURN); // behind the end come branches to it
	}

	/** The tail call of a handler, whose arguments are on the stack. */
	leave(k, depth, stack, effect) {
		const out = this.out, [c, o, , , slot] = stack.slice(-5);
		const whole = stack.length >= 5, step = whole && o.kind === OPERATION ? o.v / OP_BYTES : -1;
		const to = step > 0 ? this.place.get(this.bodies[k].index + step) : undefined;

		if (to !== undefined && to > k) {
			if (slot.kind === LOADED && slot.start >= effect)
				out.length = slot.start;
			else
				out.put(W.DROP);
			out.put(W.SET, LAST, W.SET, N, W.DROP, W.DROP, W.BR).unsigned(this.labels(k, depth, to));
			return;
		}
		if (step > 0) { // the next handler has no copy
			out.put(W.RETURN_CALL_INDIRECT).unsigned(this.s.kind).put(0);
			return;
		}
		out.put(W.SET).unsigned(this.slot).put(W.SET, LAST, W.SET, N, W.TEE, O);
		out.put(W.I32_CONST).signed(this.first).put(W.I32_EQ, W.IF, W.NOTHING, W.BR).unsigned(this.labels(k, depth + 1)); // to the beginning?
		out.put(W.END, W.GET, O, W.GET, N, W.GET, LAST, W.GET).unsigned(this.slot);
		out.put(W.RETURN_CALL_INDIRECT).unsigned(this.s.kind).put(0);
	}

	/** Instructions for what is known of a value. */
	emit({ kind, v }, here) {
		const out = this.out;

		if (kind === PROCESSOR) {
			out.put(W.GET, C);
			if (v) {
				out.put(W.I32_CONST).signed(v);
				out.put(W.I32_ADD);
			}
			return;
		}
		out.put(W.I32_CONST).signed(kind === OPERATION ? here + v : v);
	}

	/** What the load CODE finds AT bytes behind the operation: undefined, if that may change. */
	member(code, here, at) {
		const inside = at & OP_BYTES - 1, from = here + at, v = this.view;

		if (at < 0 || from + 8 > this.address(this.count) || code === W.F32_LOAD || code === W.F64_LOAD)
			return undefined;
		if (inside === RUN || code === W.I32_LOAD && (inside === TARGET || inside === COST) ||
			inside >= COST && inside < COST + 4 && [W.I32_LOAD, W.I64_LOAD, W.I64_LOAD32_S, W.I64_LOAD32_U].includes(code))
			return undefined;
		switch (code) {
		case W.I32_LOAD: return v.getInt32(from, true);
		case W.I64_LOAD: return v.getBigInt64(from, true);
		case W.I32_LOAD8_S: case W.I64_LOAD8_S: return v.getInt8(from);
		case W.I32_LOAD8_U: case W.I64_LOAD8_U: return v.getUint8(from);
		case W.I32_LOAD16_S: case W.I64_LOAD16_S: return v.getInt16(from, true);
		case W.I32_LOAD16_U: case W.I64_LOAD16_U: return v.getUint16(from, true);
		case W.I64_LOAD32_S: return inside === TARGET ? undefined : v.getInt32(from, true);
		case W.I64_LOAD32_U: return inside === TARGET ? undefined : v.getUint32(from, true);
		default: return undefined;
		}
	}

	/** Locals of this function for those of a body. Bodies share them. */
	scratch(types) {
		const used = new Map();

		return types.map((type) => {
			const nth = used.get(type) ?? 0, pool = this.pools.get(type) ?? [];

			used.set(type, nth + 1);
			this.pools.set(type, pool);
			return pool[nth] ??= this.local(type);
		});
	}
	/** A local for the parameter WHICH, which a body sets. */
	scratchParameter(which) { return this.parameters[which] ??= this.local(I32); }

	/** Locals begin with 0 in a handler. */
	clear(body, map) {
		for (const local of body.zeroed) {
			const type = body.locals[local - 4], out = this.out;

			if (type === I32)
				out.put(W.I32_CONST, 0);
			else if (type === I64)
				out.put(W.I64_CONST, 0);
			else if (type === F32)
				out.put(W.F32_CONST, 0, 0, 0, 0);
			else if (type === F64)
				out.put(W.F64_CONST, 0, 0, 0, 0, 0, 0, 0, 0);
			else
				out.put(W.VECTOR, 12, ...new Array(16).fill(0));
			out.put(W.SET).unsigned(map[local]);
		}
	}
}

/** Add which locals may be read before they are set, and which are set once. */
function examine(body) {
	const { list, sets } = body, seen = new Set(), zeroed = new Set(), read = new Set();
	let straight = true;

	body.once = new Set(); // locals that are set once, before they are read
	for (const i of list) {
		if (i.code === W.GET)
			read.add(i.a);
		if ((i.code === W.SET || i.code === W.TEE) && i.a > LAST && !read.has(i.a) && sets[i.a].length === 1)
			body.once.add(i.a);
		if (i.code === W.GET && i.a > LAST && !seen.has(i.a))
			zeroed.add(i.a);
		if ((i.code === W.SET || i.code === W.TEE) && straight)
			seen.add(i.a);
		if (i.code >= W.BLOCK && i.code <= W.BR_TABLE)
			straight = false;
	}
	body.zeroed = [...zeroed];
	return body;
}

export class Stitcher {
	/** CODE: the module that INSTANCE is of, which exports all functions. */
	constructor(code, instance) {
		this.code = code;
		this.exports = instance.exports;
		this.table = instance.exports.__indirect_function_table;
		this.free = this.base = this.table.length;
		this.handlers = new Map();
		this.queue = [];
		this.failed = null;
		this.blocks = this.modules = 0; // that were made
	}

	get view() { return new DataView(this.exports.memory.buffer); }

	/** The body of the handler with NUMBER in the table, or null. */
	handler(number) {
		if (!this.handlers.has(number)) {
			const f = this.code.slots[number], at = f === undefined ? null : this.code.bodies[f - this.code.imported];
			const body = at && at[1] - at[0] <= HANDLER_BYTES ? parse(this.code, this.kind, at) : null;

			this.handlers.set(number, body && examine(body));
		}
		return this.handlers.get(number);
	}

	arityOf(f) { return f < this.code.imported ? [0, 0] : this.code.arity[this.code.kinds[f - this.code.imported]]; }

	/** The number in the module that is being made of the function F. */
	imported(f) {
		if (f < this.code.imported)
			throw new Error('a handler calls what the module imports');
		if (!this.imports.has(f))
			this.imports.set(f, this.imports.size);
		return this.imports.get(f);
	}

	/** Make a function of the COUNT operations behind FIRST, if its run is WAITING: now or later. Returns bytes. */
	make(first, count, waiting) {
		const now = performance.now();

		if (!this.queue.length)
			this.since = now;
		this.queue.push({ first, count });
		this.waiting = waiting;
		return this.queue.length < BATCH && now - this.since < OLDEST ? 0 : this.flush();
	}

	/** Make those that wait. */
	flush() {
		try {
			return this.queue.length && !this.failed ? this.compile(this.waiting) : 0;
		} catch (error) {
			this.failed = error; // the engine lets no more code be made: the interpreter goes on alone
			return 0;
		} finally {
			this.queue = [];
		}
	}

	compile(waiting) {
		const view = this.view, functions = [], entries = [];

		this.imports = new Map();
		this.kind = this.code.kinds[this.code.slots[waiting] - this.code.imported];
		for (const { first, count } of this.queue) {
			if (view.getUint32(first, true) !== waiting)
				continue;
			const f = new BlockFunction(this, first, count), made = f.make();

			if (made) {
				functions.push(made);
				entries.push([first, ...f.bodies.slice(1).map(({ index }) => f.address(index))]);
			}
		}
		if (!functions.length)
			return 0;
		if (this.free + functions.length > this.table.length)
			this.table.grow(TABLE_GROWS);
		const bytes = this.module(functions), given = { memory: this.exports.memory, table: this.table,
			stack: this.exports.__stack_pointer };

		for (const f of this.imports.keys())
			given[exportName(f)] = this.exports[exportName(f)];
		new WebAssembly.Instance(new WebAssembly.Module(bytes), { v: given });
		for (const [i, operations] of entries.entries()) {
			for (const operation of operations)
				view.setUint32(operation + RUN, this.free + i, true);
			view.setUint8(operations[0] + DST, 1);
		}
		this.free += functions.length;
		this.modules++;
		this.blocks += functions.length;
		return bytes.length;
	}

	module(functions) {
		const imports = new Writer().unsigned(3 + this.imports.size), kinds = new Writer().unsigned(functions.length);
		const elements = new Writer().put(1, 0, W.I32_CONST).signed(this.free).put(W.END).unsigned(functions.length);
		const bodies = new Writer(1 << 16).unsigned(functions.length);

		imports.name('v').name('memory').put(2, 0, 0);
		imports.name('v').name('table').put(1, 0x70, 0, 0);
		imports.name('v').name('stack').put(3, I32, 1);
		for (const f of this.imports.keys())
			imports.name('v').name(exportName(f)).put(0).unsigned(this.code.kinds[f - this.code.imported]);
		for (const [i, body] of functions.entries()) {
			kinds.unsigned(this.kind);
			elements.unsigned(this.imports.size + i);
			bodies.copy(body.whole);
		}
		return new Writer(bodies.length + 4096).put(0, 97, 115, 109, 1, 0, 0, 0).copy(this.code.types).put(2).sized(imports)
			.put(3).sized(kinds).put(9).sized(elements).put(10).sized(bodies).whole;
	}

	/** There are no blocks any more. */
	drop() {
		this.queue = [];
		for (; this.free > this.base; this.free--)
			this.table.set(this.free - 1, null);
	}
}
