/* SPDX-License-Identifier: MIT */
/* The VGA (IBM VGA/XGA Technical Reference, 1992) with the Bochs display interface, as a PCI function: QEMU's "standard
 * VGA", 1234:1111.
 *
 *     processor --A0000h..BFFFFh--> graphics controller --> four planes --> CRTC, attribute controller, DAC --> picture
 *               --ports 3B0h..3DFh--> registers                 ^
 *               --BAR 0, linear-------------------------------'      BAR 2: the registers again, memory-mapped    ROM: the video BIOS
 *
 * The planes lie byte by byte in the RAM that the machine gives: plane P at offset O is byte 4 O + P. Chain-4 and the
 * packed modes of the display interface see that RAM as it lies, as in SVGA chips (IBM's own would leave three of four
 * bytes unused), so that their window is RAM, too, as long as nothing but plain bytes can be written.
 *
 * The picture is a pure function of the state and of the time. Retraces happen on virtual time.
 *
 * Not modelled: what a program changes while the beam is on its way (the whole picture is drawn with the registers of
 * one moment), the border, the vertical interrupt, light pen and feature connector, the latches after reads from a
 * window that is RAM. */
#ifndef IO_VGA_H
#define IO_VGA_H

#include "io/chipset/pci.h"
#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/space.h"

#define VGA_RAM (16 * MiB)

struct vga;

/* Takes ports 3B0h to 3DFh and 1CEh to 1D0h, and A0000h to BFFFFh of MEM. VRAM, of VGA_RAM bytes, belongs to the
 * caller. NULL: no memory. */
struct vga *vga_new(struct space *ports, struct space *mem, struct clock *clock, struct ram *vram);
void vga_free(struct vga *vga);
/* Put it on BUS at SLOT. ROM (the caller's; NULL: none) is the video BIOS. False: the place is taken. */
bool vga_attach(struct vga *vga, struct pci_bus *bus, unsigned slot, struct ram *rom);
void vga_refresh(struct vga *vga);
struct part vga_part(struct vga *vga);
/* RESET#. The memory keeps what it has. */
void vga_reset(struct vga *vga);
/* What the video BIOS does, for a machine that starts without one: from now on a reset leaves mode 3, 80 x 25
 * characters of FONT (256 of 16 rows each, the caller's; NULL: the picture has no characters). */
void vga_start_in_text_mode(struct vga *vga, const u8 *font);

/* ---- vga_draw.c ---- */

struct vga_picture {
	unsigned width, height;  /* dots as a monitor shows them; 0: the screen is off */
	unsigned columns, rows;  /* of a text mode, else 0 */
	unsigned cursor;         /* its cell, row * columns + column; ~0: none */
};
/* How the picture is made up. At most 8192 x 8192. */
void vga_picture(const struct vga *vga, struct vga_picture *picture);
/* Draw it as it is at virtual time NOW into WIDTH x HEIGHT numbers 00RRGGBBh. */
void vga_draw(const struct vga *vga, u64 now, u32 *pixels);
/* The character (low byte) and attribute (high byte) of a cell of a text mode. */
u16 vga_cell(const struct vga *vga, unsigned row, unsigned column);

#endif
