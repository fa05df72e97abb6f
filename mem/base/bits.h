/* SPDX-License-Identifier: MIT */
/* Fixed-width names, unaligned little-endian access, and a few functions on bits. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define CONTAINER(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define KiB ((u64)1 << 10)
#define MiB ((u64)1 << 20)
#define GiB ((u64)1 << 30)

/* Bits HI down to LO of X. */
static inline u64 bits(u64 x, unsigned hi, unsigned lo)
{
	return (x >> lo) & (~(u64)0 >> (63 - (hi - lo)));
}

/* Guest data is little-endian. Everything from memory goes through these, so that a big-endian host needs one change.
 * */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a little-endian host is needed"
#endif
static inline u16 get16(const void *p) { u16 v; memcpy(&v, p, sizeof v); return v; }
static inline u32 get32(const void *p) { u32 v; memcpy(&v, p, sizeof v); return v; }
static inline u64 get64(const void *p) { u64 v; memcpy(&v, p, sizeof v); return v; }
static inline void put16(void *p, u16 v) { memcpy(p, &v, sizeof v); }
static inline void put32(void *p, u32 v) { memcpy(p, &v, sizeof v); }
static inline void put64(void *p, u64 v) { memcpy(p, &v, sizeof v); }

/* SIZE (1, 2, 4 or 8) bytes as a zero-extended number, and back. */
static inline u64 get_size(const void *p, unsigned size)
{
	switch (size) {
	case 1: return *(const u8 *)p;
	case 2: return get16(p);
	case 4: return get32(p);
	default: return get64(p);
	}
}

static inline void put_size(void *p, unsigned size, u64 v)
{
	switch (size) {
	case 1: *(u8 *)p = (u8)v; break;
	case 2: put16(p, (u16)v); break;
	case 4: put32(p, (u32)v); break;
	default: put64(p, v); break;
	}
}

#endif
