/* SPDX-License-Identifier: MIT */
/* The virtio console (virtio 1.2, 5.3): one port, bytes in and out. What comes in waits in a queue of 64 KiB, which is
 * part of the state.
 *
 * Not modelled: several ports, the terminal's size, emergency write. */
#ifndef IO_VIRTIO_CONSOLE_H
#define IO_VIRTIO_CONSOLE_H

#include "io/virtio/virtio.h"

struct virtio_console;

/* OUT gets what the guest writes. The caller attaches virtio_console_pci. NULL: no memory. */
struct virtio_console *virtio_console_new(struct clock *clock, void (*out)(void *owner, const void *data, size_t len),
	void *owner,
		const struct log *log);
void virtio_console_free(struct virtio_console *con);
/* Bytes from outside. False, and nothing is taken, if the queue has no room for all of them. */
bool virtio_console_input(struct virtio_console *con, const void *data, size_t len);
struct pci_function *virtio_console_pci(struct virtio_console *con);
struct part virtio_console_part(struct virtio_console *con);

#endif
