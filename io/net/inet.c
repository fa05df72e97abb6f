/* SPDX-License-Identifier: MIT */
/* Headers and checksums of IPv4, IPv6, TCP and UDP (RFC 791, 793, 768, 1071, 8200). Limits: inet.h. */
#include "io/net/inet.h"

bool inet_parse(const u8 *frame, size_t len, struct inet *i)
{
	unsigned at = 12, header;
	u16 type;

	*i = (struct inet){ 0 };
	if (len < 18)
		return false;
	type = get16be(frame + at);
	if (type == 0x8100)
		type = get16be(frame + (at += 4));
	i->ip = at + 2;
	if (type == 0x0800 && len >= i->ip + 20u && frame[i->ip] >> 4 == 4) {
		header = (frame[i->ip] & 15) * 4u;
		i->l4 = i->ip + header;
		i->end = i->ip + get16be(frame + i->ip + 2);
		i->protocol = get16be(frame + i->ip + 6) & 0x3fff ? 0 : frame[i->ip + 9];
		if (header < 20)
			return false;
	} else if (type == 0x86dd && len >= i->ip + 40u && frame[i->ip] >> 4 == 6) {
		i->v6 = true;
		i->l4 = i->ip + 40;
		i->end = i->l4 + get16be(frame + i->ip + 4);
		i->protocol = frame[i->ip + 6];
	} else {
		return false;
	}
	if (i->end > len || i->l4 > i->end)
		return false;
	if (i->protocol == INET_TCP && i->end - i->l4 >= 20) {
		i->payload = i->l4 + (frame[i->l4 + 12] >> 4) * 4u;
		if (i->payload < i->l4 + 20 || i->payload > i->end)
			i->protocol = 0;
	} else if (i->protocol != INET_UDP || i->end - i->l4 < 8) {
		i->protocol = 0;
	}
	return true;
}

/* Little-endian words have the same sum, with its bytes exchanged (RFC 1071, 2 B). */
u16 inet_sum(const u8 *data, size_t len, u32 sum)
{
	u64 wide = 0;

	for (; len >= 8; data += 8, len -= 8)
		wide += (u64)get32(data) + get32(data + 4);
	for (; len >= 2; data += 2, len -= 2)
		wide += get16(data);
	if (len)
		wide += *data;
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	wide = __builtin_bswap16((u16)wide) + (u64)sum;
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	return (u16)wide;
}

u16 inet_pseudo(const u8 *frame, const struct inet *i)
{
	u32 sum = i->protocol + (i->end - i->l4);

	return i->v6 ? inet_sum(frame + i->ip + 8, 32, sum) : inet_sum(frame + i->ip + 12, 8, sum);
}

bool inet_ip_valid(const u8 *frame, const struct inet *i)
{
	return i->v6 || inet_sum(frame + i->ip, i->l4 - i->ip, 0) == 0xffff;
}

bool inet_l4_valid(const u8 *frame, const struct inet *i)
{
	if (i->protocol == INET_UDP && !get16be(frame + i->l4 + 6))
		return !i->v6;
	return i->protocol && inet_sum(frame + i->l4, i->end - i->l4, inet_pseudo(frame, i)) == 0xffff;
}
