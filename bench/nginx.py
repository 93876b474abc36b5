"""nginx, told to do what Tidegate does: forwarded headers, Via, request and trace ids, kept upstream connections, time-outs (its own defaults)."""

CONFIG = """
daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.error warn; worker_processes 1;
events {{ worker_connections 16384; }}
http {{
  access_log off; server_tokens off; keepalive_requests 100000000; client_max_body_size 0; http2_max_concurrent_streams 256;
  client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy; fastcgi_temp_path {folder}/{name}.f;
  uwsgi_temp_path {folder}/{name}.u; scgi_temp_path {folder}/{name}.s;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 1024; keepalive_requests 100000000; }}
  {http}
  server {{
    listen 127.0.0.1:{port}{protocol} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $proxy_host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Port $server_port; proxy_set_header traceparent "00-$request_id-0000000000000001-00";
    proxy_set_header Via "$server_protocol nginx"; proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id; add_header Via "1.1 nginx";
    {server}
  }}
}}
"""

PASS = "location / { proxy_pass http://backend; }"
# Bodies stream both ways, as they do in Tidegate, and through buffers large enough that few system calls are needed.
STREAMING = """proxy_request_buffering off; proxy_max_temp_file_size 0;
    proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; client_body_buffer_size 64k;"""


def start(processes, name, port, backend, cpu, http="", server=PASS, protocol=""):
    config = processes.folder / f"{name}.conf"
    config.write_text(CONFIG.format(
        folder=processes.folder, name=name, port=port, backend=backend, http=http, server=server, protocol=protocol))
    process = processes.start(name, ["nginx", "-c", config, "-e", processes.folder / f"{name}.error"], cpu)
    processes.wait_port(process, port)
    return process


def plain(**where):
    return start(name="nginx", **where)


def h2(**where):
    return start(name="nginx-h2", protocol=" http2", **where)


def streaming(**where):
    return start(name="nginx-bodies", server=STREAMING + PASS, **where)


def routes(prefixes, **where):
    """As many prefix locations; each sends on to the same upstream."""
    locations = "".join(f"location {prefix}/ {{ proxy_pass http://backend; }}\n" for prefix in prefixes)
    return start(name="nginx-routes", server=locations + PASS, **where)


def key_and_limit(keys, consumers, limit, **where):
    """A table from key to consumer, and a limit for each consumer that is never reached."""
    table = "".join(f'"{key}" c{number % consumers}; ' for number, key in enumerate(keys))
    http = f"""map_hash_max_size 65536; map_hash_bucket_size 128;
  map $http_x_api_key $consumer {{ default ""; {table} }}
  limit_req_zone $consumer zone=all:10m rate={limit // 60}r/s;"""
    guard = 'if ($consumer = "") { return 401; } limit_req zone=all burst=100000 nodelay; proxy_pass http://backend;'
    # The key does not go upstream. An empty value is how nginx leaves a header out.
    server = 'proxy_set_header X-Api-Key ""; location / { ' + guard + " }"
    return start(name="nginx-keys", http=http, server=server, **where)
