/* SPDX-License-Identifier: MIT */
/* Internet headers in a frame, for adapters that compute checksums and cut segments (RFC 791, 793, 768, 1071, 8200):
 * offsets and checksums. Not modelled: IPv6 extension headers, fragments, more than one VLAN tag. */
#ifndef IO_INET_H
#define IO_INET_H

#include "mem/base/bits.h"

enum { INET_TCP = 6, INET_UDP = 17 };

struct inet {
	bool v6;
	unsigned ip, l4;   /* offsets of the IP header, and of TCP's or UDP's */
	unsigned end;      /* offset behind the packet: a frame may have padding */
	u8 protocol;       /* INET_TCP or INET_UDP; 0: another, or a fragment */
	unsigned payload;  /* TCP: offset of its data */
};

static inline u16 get16be(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static inline void put16be(u8 *p, u16 v) { p[0] = (u8)(v >> 8); p[1] = (u8)v; }
static inline u32 get32be(const u8 *p) { return (u32)get16be(p) << 16 | get16be(p + 2); }
static inline void put32be(u8 *p, u32 v) { put16be(p, (u16)(v >> 16)); put16be(p + 2, (u16)v); }

/* The headers of an Ethernet frame (one VLAN tag is skipped); false: no whole IPv4 or IPv6 packet. */
bool inet_parse(const u8 *frame, size_t len, struct inet *i);
/* One's complement sum of big-endian 16-bit words, 16 bits, on top of SUM. An odd byte at the end is a word's high
 * half. */
u16 inet_sum(const u8 *data, size_t len, u32 sum);
/* The sum of the pseudo header, for a TCP or UDP packet. */
u16 inet_pseudo(const u8 *frame, const struct inet *i);
/* Is the checksum of the IPv4 header right; of TCP or UDP (a UDP packet may have none)? */
bool inet_ip_valid(const u8 *frame, const struct inet *i);
bool inet_l4_valid(const u8 *frame, const struct inet *i);

#endif
