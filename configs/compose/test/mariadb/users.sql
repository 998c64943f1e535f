-- As in scripts/services. Root has no password and may come from anywhere.
create user 'tls_user'@'%' identified by '' require x509;
grant all on *.* to 'tls_user'@'%';
