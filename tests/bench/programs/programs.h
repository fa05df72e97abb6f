/* SPDX-License-Identifier: MIT */
/* The programs that tests/bench/programs/run measures. Each is a file with run_NAME(), which does a fixed amount of
 * work and returns a checksum of its results. Nothing in them depends on time, on addresses or on the processor, but
 * for SKIPPED. */
#include <stddef.h>
#include <stdint.h>

#define PROGRAMS(P) \
	P(sieve) P(queens) P(fib) P(collatz) P(sort) P(hash) P(matrix) P(bignum) P(trees) P(search) P(regex) P(format) \
	P(crc) P(sha256) P(aes) P(chacha) P(lz) P(huffman) P(tape) P(registers) \
	P(nbody) P(mandelbrot) P(spectral) P(fft) P(packed) P(avx2) P(x87) \
	P(strings) P(calls) P(jumps) P(jit) \
	P(syscalls) P(pipes) P(forks) P(faults) P(signals) P(threads)

#define DECLARE(name) uint64_t run_##name(void);
PROGRAMS(DECLARE)
#undef DECLARE

#define SKIPPED UINT64_MAX /* the processor does not have what the program is about */

/* xorshift64; *state is not 0. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A sum with one more value in it: FNV-1a, by words. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x100000001b3;
}
