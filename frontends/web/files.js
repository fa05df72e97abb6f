// SPDX-License-Identifier: MIT
// Files of a Worker, where a read can wait: of a Blob, and of an HTTP server by ranges, which are read piece by piece;
// and files that the browser keeps (the origin's private file system).

const PIECE = 1 << 18;

class PieceFile {
	#pieces = new Map();
	constructor(size, fetch) {
		this.size = size;
		this.fetch = fetch;
	}
	#piece(n) {
		if (!this.#pieces.has(n))
			this.#pieces.set(n, this.fetch(n * PIECE, Math.min(PIECE, this.size - n * PIECE)));
		return this.#pieces.get(n);
	}
	read(offset, length) {
		const out = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));

		for (let done = 0; done < out.length;) {
			const at = offset + done, n = Math.floor(at / PIECE);
			const part = this.#piece(n).subarray(at - n * PIECE, at - n * PIECE + out.length - done);

			out.set(part, done);
			done += part.length;
		}
		return out;
	}
}

/** A Blob or File of the page. */
export function blobFile(blob) {
	const reader = new FileReaderSync();
	return new PieceFile(blob.size, (offset, length) =>
		new Uint8Array(reader.readAsArrayBuffer(blob.slice(offset, offset + length))));
}

function request(method, url, range) {
	const http = new XMLHttpRequest();

	http.open(method, url, false);
	if (method === 'GET')
		http.responseType = 'arraybuffer';
	if (range)
		http.setRequestHeader('Range', `bytes=${range}`);
	http.send();
	return http;
}

/** What a server has at URL: by ranges if it gives them, else as a whole. */
export function urlFile(url) {
	const head = request('HEAD', url);

	if (head.status !== 200)
		throw new Error(`${url}: ${head.status} ${head.statusText}`);
	const size = Number(head.getResponseHeader('Content-Length'));
	let whole = null;

	return new PieceFile(size, (offset, length) => {
		if (!whole) {
			const answer = request('GET', url, `${offset}-${offset + length - 1}`);

			if (answer.status === 206)
				return new Uint8Array(answer.response);
			if (answer.status !== 200)
				throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
			whole = new Uint8Array(answer.response);
		}
		return whole.subarray(offset, offset + length);
	});
}

class KeptFile {
	constructor(handle) { this.handle = handle; }
	get size() { return this.handle.getSize(); }
	read(offset, length) {
		const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));

		return bytes.subarray(0, this.handle.read(bytes, { at: offset }));
	}
	write(offset, bytes) { this.handle.write(bytes, { at: offset }); }
	flush() { this.handle.flush(); }
	/** Another page or Worker can open the file from now on. */
	close() { this.handle.close(); }
}

const FOLDER = 'libvcpu';

async function keptFolder() {
	if (!navigator.storage?.getDirectory)
		throw new Error('This browser keeps no files for this page.');
	return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
}

/** A file that is there the next time, too. It is empty at first. One Worker at a time can have it open. */
export async function keptFile(name) {
	const file = await (await keptFolder()).getFileHandle(encodeURIComponent(name), { create: true });

	try {
		return new KeptFile(await file.createSyncAccessHandle());
	} catch (error) {
		throw new Error(`${name}: another page has it open (${error.message})`);
	}
}

/** True: there was one. */
export async function forgetFile(name) {
	return (await keptFolder()).removeEntry(encodeURIComponent(name)).then(() => true, (error) => {
		if (error.name === 'NotFoundError')
			return false;
		throw error;
	});
}
