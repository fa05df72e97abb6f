/* SPDX-License-Identifier: MIT */
/* The user network: libslirp. See net.h. */
#ifndef COMMON_NET_SLIRP_H
#define COMMON_NET_SLIRP_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct net_slirp;

/* OPTIONS is what stands behind "user,". ARRIVED gets the frames for the guest; it may be called from every other
 * function here. NULL with a malloc'd line in *ERROR. */
struct net_slirp *net_slirp_new(const char *options, void (*arrived)(void *owner, const void *frame, size_t len),
				void *owner, char **error);
void net_slirp_free(struct net_slirp *s);
void net_slirp_input(struct net_slirp *s, const void *frame, size_t len, uint64_t ns);
unsigned net_slirp_poll(struct net_slirp *s, struct pollfd *fds, unsigned max, int64_t *wait);
void net_slirp_work(struct net_slirp *s, const struct pollfd *fds, unsigned count, uint64_t ns);

#endif
