/* SPDX-License-Identifier: MIT */
/* Packets between gdb and its stub (GDB manual, appendix E.1), on a socket or on standard input and output. */
#ifndef COMMON_GDB_WIRE_H
#define COMMON_GDB_WIRE_H

#include <stdbool.h>
#include <stddef.h>

enum { GDB_PACKET = 1 << 14 }; /* bytes of the longest one */

struct gdb_wire {
	int listener, in, out;  /* -1: none */
	char *path;             /* of a Unix socket, to be removed */
	/* the first byte of somebody who is no gdb and was hung up on; -1: nobody said anything in time */
	int stranger;
	bool acks;              /* packets are acknowledged, with + and - */
	bool last_ack;          /* the next + ends that */
	unsigned unacked;       /* packets to gdb that it has not acknowledged */
	bool gone;              /* nobody is at the other end any more */
	size_t have;
	unsigned char input[2 * GDB_PACKET];
	/* the packet that is being answered: as it came, $ and checksum included; and unescaped */
	size_t request_length;
	unsigned char request[2 * GDB_PACKET];
	char packet[GDB_PACKET + 1];
	/* the last packet to gdb, which it may want again */
	size_t sent_length;
	char *sent;
};

/* Listen at "[HOST]:PORT", "unix:PATH", or take "stdio". False with errno: EINVAL, it is none of these; then
 * gdb_wire_close is still due. */
bool gdb_wire_open(struct gdb_wire *w, const char *place);
/* Wait for gdb. False with errno; EPROTO: somebody else was there, w->stranger tells who, and the next one may be
 * gdb. */
bool gdb_wire_accept(struct gdb_wire *w);
void gdb_wire_hang_up(struct gdb_wire *w);
void gdb_wire_close(struct gdb_wire *w);

/* Send LEN bytes as a packet. A client that does not take it is waited for until a signal asks for the end (ending.h).
 * False: gdb has given up waiting for an answer, and has sent another packet: nothing was sent. */
bool gdb_wire_put(struct gdb_wire *w, const char *payload, size_t len);
/* Wait for the next packet: it is in w->packet, unescaped, with a zero behind it. Meanwhile, with acknowledgements: a -
 * from gdb sends the last packet again, and a packet whose checksum is wrong is answered by -. The packet's length, or
 * -1: gdb is gone, or a signal asks for the end. */
ptrdiff_t gdb_wire_get(struct gdb_wire *w);
/* No acknowledgements any more, once gdb has acknowledged the packet that was just sent (QStartNoAckMode). */
void gdb_wire_end_acks(struct gdb_wire *w);
/* While the guest runs: does gdb want it to stop, or has it hung up? */
bool gdb_wire_interrupted(struct gdb_wire *w);

/* Bytes as pairs of hexadecimal digits: the end of what was written, with a zero there; how many bytes were read, at
 * most LEN. */
char *gdb_put_hex(char *out, const void *data, size_t len);
size_t gdb_get_hex(const char *text, void *data, size_t len);
int gdb_digit(int c); /* -1: it is none */

#endif
