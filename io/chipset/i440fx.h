/* SPDX-License-Identifier: MIT */
/* The 82441FX (i440FX PMC) host bridge, function 0 of slot 0 (Intel 440FX PCIset data sheet): what of the first MiB is
 * RAM, and system management RAM.
 *
 *     59h  PAM0   .. .. W R | .. .. .. ..      F0000-FFFFF       R: reads come from RAM, else from the ROM or the PCI bus
 *     5Ah  PAM1   .. .. W R | .. .. W R        C4000, C0000      W: writes go to RAM, else they are lost
 *     ...                                      16 KiB each
 *     5Fh  PAM6   .. .. W R | .. .. W R        EC000, E8000
 *     72h  SMRAM  . D_OPEN D_CLS D_LCK G_SMRAME 0 1 0           RAM at A0000-BFFFF: always when open, else in SMM only
 *
 * Not modelled: the DRAM rows, D_CLS (data references of SMM to the display), and that with several processors only one
 * is in SMM. */
#ifndef IO_I440FX_H
#define IO_I440FX_H

#include "mem/base/line.h"
#include "mem/space.h"

struct i440fx;
struct pci_bus;

/* RAM is what is at 0; ROM (NULL: there is none) the firmware, whose last 128 KiB are seen at E0000 too. Both outlive
 * it. NULL: no memory. */
struct i440fx *i440fx_new(struct pci_bus *pci, struct space *mem, struct ram *ram, struct ram *rom);
void i440fx_free(struct i440fx *bridge);
void i440fx_refresh(struct i440fx *bridge);
struct part i440fx_part(struct i440fx *bridge);
/* SMIACT#: the processor is in SMM. OWNER is the struct i440fx. */
void i440fx_smiact(void *owner, int n, bool level);

#endif
