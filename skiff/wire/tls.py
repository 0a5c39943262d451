"""TLS contexts as Kubernetes' servers and clients want them: 1.2 or later, ALPN http/1.1, no system certificates."""

import ssl


def server_context(cert_file: str, key_file: str, *, client_ca_file: str = "") -> ssl.SSLContext:
    """For a server. With a client CA a certificate is asked for, and verified when the client shows one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca_file:
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # upstream accepts CAs without the newer extensions
    return context


def client_context(*, ca_data: str = "", verify: bool = True) -> ssl.SSLContext:
    """For a client. ca_data: PEM text; "" trusts the system's certificates. The caller loads its own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_data:
        context.load_verify_locations(cadata=ca_data)
    else:
        context.load_default_certs()
    return context
