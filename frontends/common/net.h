/* SPDX-License-Identifier: MIT */
/* The network behind the adapter: a user network (libslirp: an IPv4 network of its own, with DHCP, DNS and a gateway
 * that makes the guest's connections the program's own), a capture file, both or nothing.
 *
 *     guest --- VCPU_NET output ---> net_output ---> libslirp ---> sockets of the host
 *     guest <-- vcpu_input ------- net_deliver <---'
 *
 * Incoming frames wait here until net_deliver, between two calls of vcpu_run, gives it to the machine by vcpu_input. */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include <poll.h>
#include <vcpu.h>

struct net;

/* SPEC is "user[,restrict][,hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT]...", or "none". CAPTURE, if not NULL, names
 * a pcap file to write. NULL with a malloc'd line in *ERROR. */
struct net *net_open(const char *spec, const char *capture, char **error);
/* False: the capture could not be written; errno says why. */
bool net_close(struct net *net);
bool net_connected(const struct net *net); /* there is somebody at the other end */
/* A frame from the guest, at virtual time NS. */
void net_output(struct net *net, const void *frame, size_t len, uint64_t ns);
/* What to wait for: at most MAX of the host's files; *WAIT nanoseconds (-1: for ever) become fewer if something is due
 * before. Returns how many. */
unsigned net_poll(struct net *net, struct pollfd *fds, unsigned max, int64_t *wait);
/* After the wait: do what is there to do, and give the machine the frames that came. */
void net_deliver(struct net *net, const struct pollfd *fds, unsigned count, vcpu *machine);

#define NET_FDS 256

#endif
