/* What differs from src/default_options.h. */

/* Keys only: the code that checks a password is not in the program. */
#define DROPBEAR_SVR_PASSWORD_AUTH 0
/* The message of the day is the shell's. */
#define DO_MOTD 0
/* There is no sftp-server; scp -O works. */
#define DROPBEAR_SFTPSERVER 0
/* Speed before size: the machine may be emulated. */
#define DROPBEAR_SMALL_CODE 0
/* Connections at once that did not log in yet. QEMU's user network and NAT show many clients as one
   address, so one address may have nearly as many as all together (30). */
#define MAX_UNAUTH_PER_IP 25
