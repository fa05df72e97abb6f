/* SPDX-License-Identifier: MIT */
/* A program that test_apx.c runs twice: as the host's compiler makes it, and as clang 19 does for APX, which is
 * apx_program.inc:
 *
 *     clang-19 -O2 -mapxf -mapx-features=egpr,ndd,nf,ppx,push2pop2,ccmp,cf,zu -mno-sse -ffreestanding \
 *         -fno-jump-tables -fno-asynchronous-unwind-tables -c -x c -o p.o tests/unit/apx_program.h
 *     objcopy -O binary -j .text p.o p.bin; xxd -i <p.bin
 *
 * It sorts, multiplies long numbers, and hashes, all of it in MEMORY, COUNT numbers. */
typedef unsigned long long number;

static void sort(number *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		number x = v[i];
		unsigned k = i;

		for (; k && (v[k - 1] > x || (v[k - 1] == x && k > 7)); k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
}

/* OUT of 2 N words becomes A times B. */
static void multiply(const unsigned *a, const unsigned *b, unsigned *out, unsigned n)
{
	for (unsigned i = 0; i < 2 * n; i++)
		out[i] = 0;
	for (unsigned i = 0; i < n; i++) {
		number carry = 0;

		for (unsigned k = 0; k < n; k++) {
			carry += (number)a[i] * b[k] + out[i + k];
			out[i + k] = (unsigned)carry;
			carry >>= 32;
		}
		out[i + n] = (unsigned)carry;
	}
}

static number turn(number v, unsigned by) { return v << by | v >> (64 - by); }

/* Twelve words are in use at once. */
static number mix(const number *v, unsigned n)
{
	number a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, s = 0, t;

	for (unsigned i = 0; i < n; i++) {
		number x = v[i], y = v[(i * 7 + 3) % n];

		t = h + (turn(e, 14) ^ turn(e, 18) ^ turn(e, 41)) + ((e & f) ^ (~e & g)) + x;
		s = (turn(a, 28) ^ turn(a, 34) ^ turn(a, 39)) + ((a & b) ^ (a & c) ^ (b & c)) + y;
		h = g, g = f, f = e, e = d + t;
		d = c, c = b, b = a, a = t + s;
		if ((long long)a < 0 && (b & 1 || c > d))
			h = (unsigned short)h + (x > y ? x : y) / ((number)(unsigned char)d + 1);
		a += (unsigned)__builtin_popcountll(x) + (x ? (unsigned)__builtin_ctzll(x) : 64);
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ s;
}

number program(number *memory, number count);
number program(number *memory, number count)
{
	const unsigned n = (unsigned)count;
	number r = mix(memory, n);

	multiply((const unsigned *)memory, (const unsigned *)memory + n / 2, (unsigned *)(memory + n), n / 2);
	sort(memory, n);
	return r ^ mix(memory + n, n);
}
