// SPDX-License-Identifier: MIT
// Files that are read piece by piece, in a Worker, where a read can wait: of a Blob, and of an HTTP server by ranges.

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
