/* SPDX-License-Identifier: MIT */
/* Six vector kernels for multiboot.asm, of vectors of WIDTH bytes: 32 (AVX2) or 64 (AVX-512). Both do the same work, and
 * return the same checksums.
 *   0 matmul32   fused multiply-adds of floats           64 x 512 by 512 x 512
 *   1 matmul64   of doubles                               64 x 256 by 256 x 256
 *   2 memcpy     64 KiB, within the host's second cache
 *   3 sha512     the compression function, in each lane of 64 bits its own message
 *   4 xorshift   shifts and exclusive ORs, 64 bits
 *   5 masks      comparisons, and arithmetic on the elements that they choose: blends (AVX2), masks (AVX-512)
 */
#include <stdint.h>

typedef uint64_t u64;
typedef float floats __attribute__((vector_size(WIDTH)));
typedef double doubles __attribute__((vector_size(WIDTH)));
typedef u64 words __attribute__((vector_size(WIDTH)));

enum { M = 64, DIM32 = 512, DIM64 = 256, COPY = 65536, LANES = 64 };

static void enable(void)
{
	u64 cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 0x40600)); /* OSFXSR, OSXMMEXCPT, OSXSAVE */
	__asm__ volatile("xsetbv" : : "c"(0), "a"(WIDTH == 64 ? 0xe7 : 7), "d"(0));
}

#define MATMUL(name, type, vector, DIM) \
	static u64 name(type *a, type *b, type *c) \
	{ \
		const int n = WIDTH / sizeof(type); \
		u64 h = 0; \
	\
		for (int i = 0; i < M * DIM; i++) \
			a[i] = (type)(i % 17 - 8) / 8; \
		for (int i = 0; i < DIM * DIM; i++) \
			b[i] = (type)(i % 23 - 11) / 16; \
		for (int i = 0; i < M; i++) \
			for (int j = 0; j < DIM; j += 4 * n) { \
				vector s0 = { 0 }, s1 = { 0 }, s2 = { 0 }, s3 = { 0 }; \
	\
				for (int k = 0; k < DIM; k++) { \
					const vector *p = (const vector *)&b[k * DIM + j]; \
					vector x = a[i * DIM + k] - (vector){ 0 }; \
	\
					s0 += x * p[0]; \
					s1 += x * p[1]; \
					s2 += x * p[2]; \
					s3 += x * p[3]; \
				} \
				((vector *)&c[i * DIM + j])[0] = s0; \
				((vector *)&c[i * DIM + j])[1] = s1; \
				((vector *)&c[i * DIM + j])[2] = s2; \
				((vector *)&c[i * DIM + j])[3] = s3; \
			} \
		for (u64 i = 0; i < M * DIM * sizeof(type) / 8; i++) \
			h = h * 31 + ((u64 *)c)[i]; \
		return h; \
	}
MATMUL(matmul32, float, floats, DIM32)
MATMUL(matmul64, double, doubles, DIM64)

static u64 copy(words *from, words *to)
{
	u64 h = 0;

	for (int i = 0; i < COPY / 8; i++)
		((u64 *)from)[i] = (u64)i * 0x9e3779b97f4a7c15;
	for (int r = 0; r < 200; r++)
		for (int i = 0; i < COPY / WIDTH; i += 4) {
			words a = from[i], b = from[i + 1], c = from[i + 2], d = from[i + 3];

			__asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d));
			to[i] = a;
			to[i + 1] = b;
			to[i + 2] = c;
			to[i + 3] = d;
		}
	for (int i = 0; i < COPY / 8; i++)
		h = h * 31 + ((u64 *)to)[i];
	return h;
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (64 - (n)))

/* LANES messages of one block, in one vector after the other. Constants are made up: the work is that of SHA-512. */
static u64 sha512(words *w)
{
	const int n = WIDTH / 8;
	u64 h = 0;

	for (int first = 0; first < LANES; first += n) {
		words s[8], a, b, c, d, e, f, g, last;

		for (int i = 0; i < 16; i++)
			for (int k = 0; k < n; k++)
				w[i][k] = (u64)(first + k + 1) * 0x9e3779b97f4a7c15 ^ (u64)i << 56;
		for (int i = 16; i < 80; i++)
			w[i] = w[i - 16] + w[i - 7] + (ROTATE(w[i - 15], 1) ^ ROTATE(w[i - 15], 8) ^ w[i - 15] >> 7) +
			       (ROTATE(w[i - 2], 19) ^ ROTATE(w[i - 2], 61) ^ w[i - 2] >> 6);
		for (int i = 0; i < 8; i++)
			s[i] = 0x6a09e667f3bcc908 * (u64)(i + 1) - (words){ 0 };
		a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], last = s[7];
		for (int i = 0; i < 80; i++) {
			words t = last + (ROTATE(e, 14) ^ ROTATE(e, 18) ^ ROTATE(e, 41)) + ((e & f) ^ (~e & g)) + w[i] +
				  0x428a2f98d728ae22 * (u64)(2 * i + 1);
			words u = (ROTATE(a, 28) ^ ROTATE(a, 34) ^ ROTATE(a, 39)) + ((a & b) ^ (a & c) ^ (b & c));

			last = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
		}
		a += s[0] + b + c + d + e + f + g + last;
		for (int k = 0; k < n; k++)
			h = h * 31 + a[k];
	}
	return h;
}

static u64 xorshift(words *x)
{
	u64 h = 0;

	for (int first = 0; first < LANES; first += 4 * WIDTH / 8) {
		for (int i = 0; i < 4 * WIDTH / 8; i++)
			((u64 *)x)[i] = (u64)(first + i + 1) * 0x9e3779b97f4a7c15;
		words a = x[0], b = x[1], c = x[2], d = x[3];

		for (int i = 0; i < 5000; i++) {
			a ^= a << 13, b ^= b << 13, c ^= c << 13, d ^= d << 13;
			a ^= a >> 7, b ^= b >> 7, c ^= c >> 7, d ^= d >> 7;
			a ^= a << 17, b ^= b << 17, c ^= c << 17, d ^= d << 17;
		}
		x[0] = a, x[1] = b, x[2] = c, x[3] = d;
		for (int i = 0; i < 4 * WIDTH / 8; i++)
			h = h * 31 + ((u64 *)x)[i];
	}
	return h;
}

/* Each a becomes 3 * a + 1 if it is odd, else a / 2; the odd ones are added up, and counted in halves. C has no operator
 * that a compiler makes a mask of. */
#if WIDTH == 64
#define STEP \
	"vptestmq %[one], %[a], %%k1\n" \
	"vpaddq %[a], %[sum], %[sum] %{%%k1%}\n" \
	"vaddpd %[half], %[halves], %[halves] %{%%k1%}\n" \
	"vpaddq %[a], %[a], %[t] %{%%k1%}%{z%}\n" \
	"vpaddq %[one], %[t], %[t] %{%%k1%}\n" \
	"knotw %%k1, %%k2\n" \
	"vpsrlq $1, %[a], %[a] %{%%k2%}\n" \
	"vpaddq %[t], %[a], %[a]\n"
#define CLOBBERS "k1", "k2"
#else
#define STEP \
	"vpand %[one], %[a], %%ymm15\n" \
	"vpcmpeqq %[one], %%ymm15, %%ymm15\n" \
	"vpand %[a], %%ymm15, %[t]\n" \
	"vpaddq %[t], %[sum], %[sum]\n" \
	"vandpd %[half], %%ymm15, %[t]\n" \
	"vaddpd %[t], %[halves], %[halves]\n" \
	"vpaddq %[a], %[a], %[t]\n" \
	"vpaddq %[one], %[t], %[t]\n" \
	"vpaddq %[a], %[t], %[t]\n" \
	"vpsrlq $1, %[a], %[a]\n" \
	"vpblendvb %%ymm15, %[t], %[a], %[a]\n"
#define CLOBBERS "xmm15"
#endif
static u64 masks(words *x)
{
	const words one = (words){ 0 } + 1;
	const doubles half = (doubles){ 0 } + 0.5;
	u64 h = 0;

	for (int first = 0; first < LANES; first += WIDTH / 8) {
		for (int i = 0; i < WIDTH / 8; i++)
			((u64 *)x)[i] = (u64)(first + i + 1) * 0x9e3779b97f4a7c15 >> 24;
		words a = x[0], sum = { 0 }, t;
		doubles halves = { 0 };

		for (int i = 0; i < 5000; i++)
			__asm__(STEP : [a] "+v"(a), [sum] "+v"(sum), [halves] "+v"(halves), [t] "=&v"(t)
				: [one] "v"(one), [half] "v"(half) : CLOBBERS);
		x[0] = sum ^ (words)halves;
		for (int i = 0; i < WIDTH / 8; i++)
			h = h * 31 + ((u64 *)x)[i];
	}
	return h;
}

u64 start(char *memory, u64 which, u64 reps);

u64 start(char *memory, u64 which, u64 reps)
{
	u64 h = 0;

	if (which == 0)
		enable();
	while (reps--)
		switch (which) {
		case 0:
			for (int i = 0; i < 4; i++)
				h += matmul32((float *)memory, (float *)(memory + 0x200000), (float *)(memory + 0x400000));
			break;
		case 1:
			for (int i = 0; i < 8; i++)
				h += matmul64((double *)memory, (double *)(memory + 0x200000), (double *)(memory + 0x400000));
			break;
		case 2:
			for (int i = 0; i < 16; i++)
				h += copy((words *)memory, (words *)(memory + 0x200000));
			break;
		case 3:
			for (int i = 0; i < 400; i++)
				h += sha512((words *)memory);
			break;
		case 4:
			for (int i = 0; i < 100; i++)
				h += xorshift((words *)memory);
			break;
		default:
			for (int i = 0; i < 100; i++)
				h += masks((words *)memory);
		}
	return h;
}
