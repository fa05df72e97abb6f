// SPDX-License-Identifier: MIT
// The part of WASI that the module imports, over files in memory. A file has
//     size                        bytes
//     read(offset, length)        a Uint8Array of at most LENGTH bytes
//     write(offset, bytes)        if it can be written
//     flush()                     if what was written can be lost until then
// A folder is only the beginning of names. Names have no "/" at the beginning.

const ERRNO = { badf: 8, exist: 20, inval: 28, io: 29, isdir: 31, noent: 44, nospc: 51, nosys: 52, rofs: 69,
	spipe: 70 };
const DIRECTORY = 3, REGULAR = 4, CHARACTER = 2;
const ROOT = 3; // the descriptor of the only folder

/** A file of bytes that grows when something is written behind its end. */
export class MemoryFile {
	constructor(bytes = new Uint8Array(0)) {
		this.bytes = bytes;
		this.size = bytes.length;
	}
	read(offset, length) {
		return this.bytes.subarray(Math.min(offset, this.size), Math.min(offset + length, this.size));
	}
	write(offset, bytes) {
		if (offset + bytes.length > this.bytes.length) {
			const more = new Uint8Array(Math.max(2 * this.bytes.length, offset + bytes.length));
			more.set(this.bytes);
			this.bytes = more;
		}
		this.bytes.set(bytes, offset);
		this.size = Math.max(this.size, offset + bytes.length);
	}
	content() {
		return this.bytes.subarray(0, this.size);
	}
}

/** "/a/./b" and "a/b" are one name. */
export function plainName(name) {
	return name.split('/').filter((part) => part && part !== '.').join('/');
}

export class Wasi {
	/**
	 * @param files   a Map from names to files; a file that is created is added
	 * @param find    called with a name that FILES lacks: a file, or undefined
	 * @param print   called with a line of standard output or error
	 */
	constructor({ files = new Map(), find = () => undefined, print = () => {} } = {}) {
		this.files = files;
		this.find = find;
		this.print = print;
		this.open = new Map();
		this.memory = null; // the module's, set by whoever instantiates it
		this.imports = {};
		for (const name of Object.getOwnPropertyNames(Wasi.prototype))
			if (/^(fd|path|proc)_/.test(name))
				this.imports[name] = this[name].bind(this);
	}

	get view() { return new DataView(this.memory.buffer); }
	bytes(at, length) { return new Uint8Array(this.memory.buffer, at, length); }
	text(at, length) { return new TextDecoder().decode(this.bytes(at, length).slice()); }

	lookup(name) {
		let file = this.files.get(name);

		if (!file && (file = this.find(name)))
			this.files.set(name, file);
		return file;
	}

	/** Call EACH with every buffer of a list of them, until one is not filled. Returns the sum. */
	buffers(iovs, count, each) {
		const view = this.view;
		let sum = 0;

		for (let i = 0; i < count; i++) {
			const length = view.getUint32(iovs + 8 * i + 4, true);
			const done = each(this.bytes(view.getUint32(iovs + 8 * i, true), length), sum);

			sum += done;
			if (done < length)
				break;
		}
		return sum;
	}

	readAt(handle, offset, iovs, count, result) {
		const done = this.buffers(iovs, count, (buffer, at) => {
			const got = handle.file.read(offset + at, buffer.length);

			buffer.set(got);
			return got.length;
		});

		this.view.setUint32(result, done, true);
		return done;
	}

	writeAt(handle, offset, iovs, count, result) {
		const done = this.buffers(iovs, count, (buffer, at) => {
			handle.file.write(offset + at, buffer.slice());
			return buffer.length;
		});

		this.view.setUint32(result, done, true);
		return done;
	}

	/** 0, or the number of the error that CALL has thrown. */
	attempt(call) {
		try {
			call();
			return 0;
		} catch (error) {
			this.print(String(error));
			return error.name === 'QuotaExceededError' ? ERRNO.nospc : ERRNO.io;
		}
	}

	stat(at, file, type) {
		const view = this.view;

		new Uint8Array(this.memory.buffer, at, 64).fill(0);
		view.setBigUint64(at + 8, BigInt([...this.files.values()].indexOf(file) + 2), true);
		view.setUint8(at + 16, type);
		view.setBigUint64(at + 24, 1n, true);
		view.setBigUint64(at + 32, BigInt(file ? file.size : 0), true);
		return 0;
	}

	fd_prestat_get(fd, at) {
		if (fd !== ROOT)
			return ERRNO.badf;
		this.view.setUint32(at, 0, true);
		this.view.setUint32(at + 4, 1, true);
		return 0;
	}
	fd_prestat_dir_name(fd, at) {
		this.bytes(at, 1)[0] = 47;
		return fd === ROOT ? 0 : ERRNO.badf;
	}
	fd_fdstat_get(fd, at) {
		const type = fd < ROOT ? CHARACTER : fd === ROOT ? DIRECTORY : REGULAR;

		if (fd > ROOT && !this.open.has(fd))
			return ERRNO.badf;
		this.bytes(at, 24).fill(0);
		this.view.setUint8(at, type);
		this.view.setBigUint64(at + 8, ~0n & 0xffffffffffffffffn, true);
		this.view.setBigUint64(at + 16, ~0n & 0xffffffffffffffffn, true);
		return 0;
	}
	fd_fdstat_set_flags() { return 0; }
	fd_datasync(fd) {
		return this.attempt(() => this.open.get(fd)?.file.flush?.());
	}
	fd_close(fd) { return this.open.delete(fd) ? 0 : ERRNO.badf; }

	fd_filestat_get(fd, at) {
		const handle = this.open.get(fd);

		return handle ? this.stat(at, handle.file, REGULAR) : ERRNO.badf;
	}
	fd_filestat_set_size() { return ERRNO.nosys; }
	path_filestat_get(fd, flags, name, length, at) {
		const file = this.lookup(plainName(this.text(name, length)));

		return file ? this.stat(at, file, REGULAR) : ERRNO.noent;
	}

	path_open(dir, dirflags, at, length, oflags, rights, inheriting, flags, result) {
		const CREATE = 1, DIRECTORY_ONLY = 2, TRUNCATE = 8, WRITE = 64n;
		const name = plainName(this.text(at, length));
		let file = this.lookup(name), fd = ROOT + 1;

		if (oflags & DIRECTORY_ONLY)
			return ERRNO.noent;
		if (oflags & CREATE && (!file || oflags & TRUNCATE))
			this.files.set(name, file = new MemoryFile());
		if (!file)
			return ERRNO.noent;
		if (rights & WRITE && !file.write)
			return ERRNO.rofs;
		while (this.open.has(fd))
			fd++;
		this.open.set(fd, { file, at: 0 });
		this.view.setUint32(result, fd, true);
		return 0;
	}

	fd_pread(fd, iovs, count, offset, result) {
		const handle = this.open.get(fd);

		if (!handle)
			return ERRNO.badf;
		return this.attempt(() => this.readAt(handle, Number(offset), iovs, count, result));
	}
	fd_pwrite(fd, iovs, count, offset, result) {
		const handle = this.open.get(fd);

		if (!handle || !handle.file.write)
			return ERRNO.badf;
		return this.attempt(() => this.writeAt(handle, Number(offset), iovs, count, result));
	}
	fd_read(fd, iovs, count, result) {
		const handle = this.open.get(fd);

		if (!handle)
			return ERRNO.badf;
		return this.attempt(() => handle.at += this.readAt(handle, handle.at, iovs, count, result));
	}
	fd_write(fd, iovs, count, result) {
		const handle = this.open.get(fd);

		if (fd === 1 || fd === 2) {
			this.view.setUint32(result, this.buffers(iovs, count, (buffer) => {
				if (buffer.length)
					this.print(new TextDecoder().decode(buffer.slice()));
				return buffer.length;
			}), true);
			return 0;
		}
		if (!handle || !handle.file.write)
			return ERRNO.badf;
		return this.attempt(() => handle.at += this.writeAt(handle, handle.at, iovs, count, result));
	}
	fd_seek(fd, offset, whence, result) {
		const handle = this.open.get(fd);

		if (!handle)
			return fd < ROOT ? ERRNO.spipe : ERRNO.badf;
		if (whence > 2)
			return ERRNO.inval;
		handle.at = Number(offset) + [0, handle.at, handle.file.size][whence];
		this.view.setBigUint64(result, BigInt(handle.at), true);
		return 0;
	}

	proc_exit(status) {
		throw new Error(`the module has ended with status ${status}`);
	}
}
